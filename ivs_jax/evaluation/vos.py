"""Semi-supervised video segmentation in the DAVIS layout: prompt frame 0, propagate, J and F.

The prompt is frame 0's true mask of every object, or robot clicks on frame 0. As in the official
evaluation the first and the last frame are not scored, void is not applied, and the mean is over
all objects of all sequences, each with the same weight. Objects are those of frame 0.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.davis import DavisSequence, open_davis, read_objects
from ivs_jax.evaluation.region import iou
from ivs_jax.evaluation.report import device_description
from ivs_jax.evaluation.vos_report import (
    ObjectScores,
    SequenceScores,
    VosReport,
    summarise,
    write_report,
    write_strip,
)
from ivs_jax.interaction.events import Click, Mask, Propagate
from ivs_jax.interaction.robot import next_click
from ivs_jax.io import encode_rle
from ivs_jax.session import Engine, State, start, step

Prompt = Literal["mask", "clicks"]
STRIP_FRAMES = 5


def run_vos(
    root: str | Path,
    load_engine: Callable[[Path], Engine],
    *,
    sequences: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = "480p",
    prompt: Prompt = "mask",
    clicks: int = 3,
    out: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> VosReport:
    """Evaluates an engine on a DAVIS tree and returns (and writes) the report.

    Args:
      root: of the DAVIS layout, see `evaluation.davis`.
      load_engine: folder of frames -> engine; called once a sequence, its video is closed after.
      sequences: names, instead of those of `split`.
      prompt: "mask" gives frame 0's true masks, "clicks" robot clicks on frame 0.
      clicks: at most so many clicks an object; fewer where no error is left.
      out: folder for report.json, report.md, per_frame.csv and, per sequence, a plot of J over
        time and a strip of frames (prediction above truth).
      progress: called with (frames propagated, frames to propagate, sequence).

    Sequences without an object on frame 0 are listed in `skipped`, in no mean.
    Raises ValueError for missing or unfitting files, or when nothing could be measured.
    """
    if prompt not in ("mask", "clicks") or clicks < 1:
        raise ValueError(
            f"expected prompt 'mask' or 'clicks' and clicks >= 1, found {prompt!r} and {clicks}"
        )
    found = open_davis(root, sequences=sequences, split=split, resolution=resolution)
    scores: list[SequenceScores] = []
    skipped: list[dict[str, str]] = []
    model = ""
    for sequence in found:
        engine = load_engine(sequence.frames)
        model = engine.name
        try:
            state, scored = _run_sequence(sequence, engine, prompt, clicks, progress)
            if scored is None:
                skipped.append({"name": sequence.name, "reason": "no object on the first frame"})
                continue
            scores.append(scored)
            if out is not None:
                write_strip(Path(out), sequence, state, STRIP_FRAMES)
        finally:
            close = getattr(engine.video, "close", None)
            if close:
                close()
    report = summarise(
        scores,
        dataset=Path(root).resolve().name,
        split=",".join(sequences) if sequences else split,
        resolution=resolution,
        prompt=prompt,
        clicks=clicks if prompt == "clicks" else 0,
        model=model,
        device=device_description(),
        skipped=skipped,
    )
    if out is not None:
        write_report(report, scores, Path(out))
    return report


def _run_sequence(
    sequence: DavisSequence,
    engine: Engine,
    prompt: Prompt,
    clicks: int,
    progress: Callable[[int, int, str], None] | None,
) -> tuple[State, SequenceScores | None]:
    """Prompt, propagation and scores of one sequence; no scores if frame 0 has no object."""
    video, name = engine.video, sequence.name
    if len(video) != len(sequence.annotations):
        raise ValueError(
            f"{sequence.frames}: the engine's video has {len(video)} frames, "
            f"expected {len(sequence.annotations)}"
        )
    truth = read_objects(sequence.annotations[0], video.size)
    objects = [int(number) for number in np.unique(truth) if number]
    state = start(engine)
    if not objects:
        return state, None
    for number in objects:
        wanted = truth == number
        if prompt == "mask":
            state = step(state, Mask(0, number, encode_rle(wanted)))
        else:
            state = _clicked(state, number, wanted, clicks)
    first = state.labels(0)
    prompted = {number: iou(first == number, truth == number) for number in objects}
    began = time.perf_counter()
    state = step(
        state,
        Propagate(start=0),
        progress=(lambda done, total, _: progress(done, total, name)) if progress else None,
    )
    seconds = time.perf_counter() - began
    return state, _scored(sequence, state, objects, prompted, seconds)


def _clicked(state: State, number: int, wanted: np.ndarray, clicks: int) -> State:
    """The state after at most `clicks` robot clicks for one object on frame 0."""
    made: list[tuple[int, int, int]] = []
    for _ in range(clicks):
        click = next_click(wanted, state.labels(0) == number, clicked=made)
        if click is None:
            break
        made.append(click)
        x, y, label = click
        state = step(state, Click(0, number, x, y, label))
    return state


def _scored(
    sequence: DavisSequence,
    state: State,
    objects: Sequence[int],
    prompted: dict[int, float],
    seconds: float,
) -> SequenceScores:
    count = len(sequence.annotations)
    frames = range(1, count - 1)
    j = np.zeros((len(objects), len(frames)))
    f = np.zeros_like(j)
    for column, frame in enumerate(frames):
        truth = read_objects(sequence.annotations[frame], state.engine.video.size)
        labels = state.labels(frame)
        for row, number in enumerate(objects):
            j[row, column] = iou(labels == number, truth == number)
            f[row, column] = f_measure(labels == number, truth == number)
    scores = {
        number: ObjectScores(j[row], f[row], prompted[number]) for row, number in enumerate(objects)
    }
    return SequenceScores(sequence.name, scores, count - 1, seconds)
