"""One object of a NoC run: clicks of the robot, or given ones, and the IoU after each."""

import numpy as np

from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc.clicks import replay_problem
from ivs_jax.evaluation.noc.config import NocInteractor, NocRule
from ivs_jax.evaluation.noc.record import ObjectResult
from ivs_jax.evaluation.region import iou
from ivs_jax.interaction.robot import next_click
from ivs_jax.types import make_clicks


def run_object(sample: ClickSample, interactor: NocInteractor, rule: NocRule) -> ObjectResult:
    """Clicks one object until the target or the last click; with `rule.replay`, exactly those."""
    name, image, mask, ignore = sample
    replay = None if rule.replay is None else rule.replay.get(name, ())
    problem = unusable(sample)
    if replay is not None and not problem:
        problem = replay_problem(replay, mask.shape, rule.max_clicks)
    if problem:
        return ObjectResult(name, skipped=problem)
    result, probability = ObjectResult(name), None
    prediction = np.zeros(mask.shape, bool)
    while len(result.ious) < rule.max_clicks:
        if replay is None:
            click = next_click(mask, prediction, ignore=ignore, clicked=result.clicks)
        else:
            click = replay[len(result.clicks)] if len(result.clicks) < len(replay) else None
        if click is None:
            break
        result.clicks.append(click)
        points, labels = [c[:2] for c in result.clicks], [c[2] for c in result.clicks]
        clicks = make_clicks(points, labels, capacity=click_capacity(rule.max_clicks))
        try:
            answer = interactor.predict(image, clicks, probability)
        except ValueError as error:
            return ObjectResult(name, skipped=f"click {len(points)}: {error}")
        probability = _checked(answer.probability, mask.shape, name)
        prediction = probability > interactor.threshold
        result.ious.append(iou(prediction, mask, ignore=ignore))
        result.satisfied.append(all(prediction[y, x] == (k == 1) for x, y, k in result.clicks))
        result.evaluations.append(int(answer.evaluations))
        result.compile_seconds += float(answer.seconds.get("compile", 0.0))
        if replay is None and result.ious[-1] >= rule.target:
            break
    return result


def click_capacity(max_clicks: int) -> int:
    """One capacity for every click of a run: nothing is compiled after the first."""
    return max(32, max_clicks)


def unusable(sample: ClickSample) -> str | None:
    """Why this object cannot be measured, or None."""
    _, image, mask, ignore = sample
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        return f"image must be [H, W, 3] uint8, found {image.shape} {image.dtype}"
    for name, array in (("mask", mask), ("ignore", ignore)):
        if array is None:
            continue
        if array.dtype != np.bool_ or array.shape != image.shape[:2]:
            size = image.shape[:2]
            return f"{name} is {array.shape} {array.dtype}, expected {size} bool as the image"
    if not (mask if ignore is None else mask & ~ignore).any():
        return "mask without object"
    return None


def _checked(probability: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A wrong answer of the system under test stops the run: leaving it out would flatter it."""
    probability = np.asarray(probability)
    if probability.shape != shape or not np.isfinite(probability).all():
        finite = "finite" if np.isfinite(probability).all() else "with NaN or infinity"
        raise ValueError(
            f"{name}: the interactor returned {probability.shape} {finite}, expected {shape} finite"
        )
    return probability
