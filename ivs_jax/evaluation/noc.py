"""NoC: how many clicks of the robot until the mask is good enough (protocol of BRS and f-BRS).

Per object: the prediction starts empty; the robot clicks the largest error, the interactor answers
with all clicks so far and its last probability; stop at the target IoU or after `max_clicks`.
Given clicks (`replay`) take the place of the robot's and are run to their end.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from ivs_jax.evaluation.click_dataset import ClickSample, open_click_dataset
from ivs_jax.evaluation.noc_clicks import Click, ClicksByName, replay_problem, write_clicks
from ivs_jax.evaluation.noc_config import noc_config, threshold_of
from ivs_jax.evaluation.noc_log import NocLog
from ivs_jax.evaluation.noc_report import NocReport, Trial, summarise, write_report
from ivs_jax.evaluation.region import iou
from ivs_jax.evaluation.report import device_description
from ivs_jax.interaction.robot import next_click
from ivs_jax.types import Clicks, Interaction, make_clicks

__all__ = ["NocReport", "Trial", "open_click_dataset", "run_noc", "run_trial"]

LOG = "progress.jsonl"


class ClickInteractor(Protocol):
    """What is measured. Optional attributes: `name`, `refine`, `config` (of the refinement),
    `threshold` (mask = p > threshold), `fingerprint` (changes with the weights: guards a log)."""

    def predict(
        self, image: np.ndarray, clicks: Clicks, previous: np.ndarray | None
    ) -> Interaction: ...


def run_noc(
    dataset: Sequence[ClickSample] | Iterable[ClickSample],
    interactor: ClickInteractor,
    *,
    limit: int | None = None,
    max_clicks: int = 20,
    target: float = 0.90,
    out: str | Path | None = None,
    workers: int = 1,
    batch: int | None = None,
    replay: ClicksByName | None = None,
    save_clicks: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> NocReport:
    """Runs the click protocol over `dataset` and returns (and writes) the report.

    Args:
      dataset: `(name, image, mask, ignore)` per object, see `ClickSample`; names are unique.
      interactor: the system under test; with `workers` > 1 it must be safe to call from threads.
      limit: only the first so many objects.
      out: folder for report.json, report.md, per_object.csv and curve.png. While the run goes on
        it holds one line per finished object, from which an interrupted run resumes.
      batch: this many objects at once, the robot on the device too (`noc_device`); for a
        `session.click.ClickInteractor`. Without it objects are clicked one after the other.
      replay: clicks of each object instead of the robot's, see `noc_clicks.read_clicks`; objects
        without any are skipped.
      save_clicks: file for the clicks of this run, see `noc_clicks`.
      progress: called with (objects done, objects in all, name).

    Objects that cannot be measured (no object in the mask, sizes that differ, unreadable files,
    input that the interactor rejects with ValueError) are listed in `skipped`, in no mean.
    Raises ValueError when nothing could be measured, or for an `out` of another configuration.
    """
    if max_clicks < 1 or not 0 < target <= 1 or workers < 1:
        raise ValueError(
            "expected max_clicks >= 1, 0 < target <= 1, workers >= 1, found "
            f"max_clicks={max_clicks}, target={target}, workers={workers}"
        )
    if batch is not None and (workers > 1 or replay is not None):
        raise ValueError("batch goes with neither workers nor replay: leave one of them out")
    samples = dataset if isinstance(dataset, Sequence) else list(dataset)
    total = len(samples) if limit is None else min(limit, len(samples))
    config = noc_config(dataset, interactor, max_clicks=max_clicks, target=target, replay=replay)
    log = NocLog(Path(out) / LOG, config) if out is not None else None
    trials: list[Trial] = []
    seen: set[str] = set()
    if batch is None:
        jobs = _measure(samples, total, interactor, log, max_clicks, target, workers, replay)
    else:
        jobs = _measure_batches(samples, total, interactor, log, max_clicks, target, batch)
    for trial in jobs:
        if trial.name in seen:
            raise ValueError(f"object name {trial.name!r} occurs twice, expected unique names")
        seen.add(trial.name)
        trials.append(trial)
        if log:
            log.add(trial)
        if progress:
            progress(len(trials), total, trial.name)
    if batch is not None:  # finished in another order
        place = {name: i for i, name in enumerate(_names(samples))}
        trials.sort(key=lambda trial: place.get(trial.name, total))
    unpaired = [Trial(name, skipped=reason) for name, reason in getattr(dataset, "skipped", ())]
    report = summarise(
        trials + unpaired, config, workers=workers, batch=batch, device=device_description()
    )
    if out is not None:
        write_report(report, trials, Path(out))
    if save_clicks is not None:
        write_clicks(save_clicks, trials)
    if log:
        log.path.unlink()  # finished: the next run measures afresh
    return report


def run_trial(
    sample: ClickSample,
    interactor: ClickInteractor,
    *,
    max_clicks: int = 20,
    target: float = 0.90,
    replay: Sequence[Click] | None = None,
) -> Trial:
    """Clicks one object until the target or the last click; with `replay`, exactly those."""
    name, image, mask, ignore = sample
    problem = unusable(sample)
    if replay is not None and not problem:
        problem = replay_problem(replay, mask.shape, max_clicks)
    if problem:
        return Trial(name, skipped=problem)
    threshold = threshold_of(interactor)
    trial, probability = Trial(name), None
    prediction = np.zeros(mask.shape, bool)
    while len(trial.ious) < max_clicks:
        if replay is None:
            click = next_click(mask, prediction, ignore=ignore, clicked=trial.clicks)
        else:
            click = replay[len(trial.clicks)] if len(trial.clicks) < len(replay) else None
        if click is None:
            break
        trial.clicks.append(click)
        points, labels = [c[:2] for c in trial.clicks], [c[2] for c in trial.clicks]
        try:
            answer = interactor.predict(
                image, make_clicks(points, labels, capacity=click_capacity(max_clicks)), probability
            )
        except ValueError as error:
            return Trial(name, skipped=f"click {len(points)}: {error}")
        probability = _checked(answer.probability, mask.shape, name)
        prediction = probability > threshold
        trial.ious.append(iou(prediction, mask, ignore=ignore))
        trial.satisfied.append(all(prediction[y, x] == (k == 1) for x, y, k in trial.clicks))
        trial.evaluations.append(int(answer.evaluations))
        trial.compile_seconds += float(answer.seconds.get("compile", 0.0))
        if replay is None and trial.ious[-1] >= target:
            break
    return trial


def _measure(
    samples: Sequence[ClickSample],
    total: int,
    interactor: ClickInteractor,
    log: NocLog | None,
    max_clicks: int,
    target: float,
    workers: int,
    replay: ClicksByName | None,
) -> Iterator[Trial]:
    """Trials in the order of the data set, those of the log taken from there."""
    names = getattr(samples, "names", None)

    def measure(index: int) -> Trial:
        if log and names and names[index] in log.done:
            return log.done[names[index]]
        start = time.perf_counter()
        try:
            sample = ClickSample(*samples[index])
        except ValueError as error:
            return Trial(names[index] if names else f"object {index}", skipped=str(error))
        if log and sample.name in log.done:
            return log.done[sample.name]
        clicks = None if replay is None else replay.get(sample.name, ())
        trial = run_trial(sample, interactor, max_clicks=max_clicks, target=target, replay=clicks)
        trial.seconds = time.perf_counter() - start
        return trial

    if workers == 1:
        yield from map(measure, range(total))
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(measure, range(total))
    finally:
        pool.shutdown(cancel_futures=True)


def _measure_batches(
    samples: Sequence[ClickSample],
    total: int,
    interactor: ClickInteractor,
    log: NocLog | None,
    max_clicks: int,
    target: float,
    batch: int,
) -> Iterator[Trial]:
    """Trials in the order in which they are finished, those of the log first."""
    from ivs_jax.evaluation.noc_device import measure_batches  # it imports this module

    names = _names(samples)[:total]
    done = log.done if log else {}
    yield from (done[name] for name in names if name in done)
    left = [index for index, name in enumerate(names) if name not in done]
    yield from measure_batches(
        samples, left, interactor, max_clicks=max_clicks, target=target, batch=batch
    )


def _names(samples: Sequence[ClickSample]) -> list[str]:
    return list(getattr(samples, "names", None) or (sample[0] for sample in samples))


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
