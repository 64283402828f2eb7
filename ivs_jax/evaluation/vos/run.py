"""Semi-supervised video segmentation: prompt frame 0, propagate, J and F.

The prompt is frame 0's true mask of every object, or robot clicks on frame 0. What is scored and
how: `scores`; means over all objects of all sequences, each with the same weight.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ivs_jax.evaluation.davis import DavisSequence
from ivs_jax.evaluation.region import iou
from ivs_jax.evaluation.report.files import device_description
from ivs_jax.evaluation.sequences import opened_engine, state_strip
from ivs_jax.evaluation.vos.record import Measured, VosReport, summarise
from ivs_jax.evaluation.vos.report import write_vos
from ivs_jax.evaluation.vos.scores import (
    ObjectScores,
    SequenceScores,
    objects_of,
    score_frames,
    scored_frames,
)
from ivs_jax.interaction.events import Click, Mask, Propagate
from ivs_jax.interaction.robot import next_click
from ivs_jax.io import encode_rle, open_video
from ivs_jax.session import Engine, State, start, step
from ivs_jax.types import Annotation

Prompt = Literal["mask", "clicks"]
Progress = Callable[[int, int, str], None]


def run_vos(
    sequences: Sequence[DavisSequence],
    load_engine: Callable[[Path], Engine],
    *,
    dataset: str,
    prompt: Prompt = "mask",
    clicks: int = 3,
    own: bool = False,
    out: str | Path | None = None,
    page: str | Path | None = None,
    progress: Progress | None = None,
) -> VosReport:
    """Evaluates an engine on sequences and returns (and writes) the report.

    Args:
      sequences: see `evaluation.davis`.
      load_engine: folder of frames -> engine; called once a sequence, its video is closed after.
      dataset: what the report calls the sequences.
      prompt: "mask" gives frame 0's true masks, "clicks" robot clicks on frame 0.
      clicks: at most so many clicks an object; fewer where no error is left.
      own: also segment frame 0 anew, from its own mask in the memory: what a network that finds
        its own place again gives back.
      out, page: folders for files and for the page, see `report.write_vos`.
      progress: called with (frames propagated, frames to propagate, sequence).

    Sequences without an object on frame 0 are listed in `skipped`, in no mean.
    Raises ValueError for missing or unfitting files, or when nothing could be measured.
    """
    if prompt not in ("mask", "clicks") or clicks < 1:
        raise ValueError(
            f"expected prompt 'mask' or 'clicks' and clicks >= 1, found {prompt!r} and {clicks}"
        )
    measured = Measured()
    model = ""
    for sequence in sequences:
        with opened_engine(sequence, load_engine) as engine:
            model = engine.name
            state, scores = _run_sequence(sequence, engine, prompt, clicks, own, progress)
            measured.add(sequence.name, scores)
            if scores and (out or page):
                truth = partial(sequence.truth, size=engine.video.size)
                measured.strips[sequence.name] = state_strip(state, truth)
    report = summarise(
        measured,
        dataset=dataset,
        prompt=prompt,
        clicks=clicks if prompt == "clicks" else 0,
        model=model,
        device=device_description(),
    )
    write_vos(report, measured, out=out, page=page)
    return report


def _run_sequence(
    sequence: DavisSequence,
    engine: Engine,
    prompt: Prompt,
    clicks: int,
    own: bool,
    progress: Progress | None,
) -> tuple[State, SequenceScores | None]:
    """Prompt, propagation and scores of one sequence; no scores if frame 0 has no object."""
    video, name = engine.video, sequence.name
    truth = sequence.truth(0, video.size)
    objects = objects_of(truth)
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
    again = own_overlap(engine, first, objects) if own else {}
    frames = scored_frames(len(video))
    j, f = score_frames(partial(sequence.truth, size=video.size), state.labels, objects, frames)
    scores = {
        number: ObjectScores(j[row], f[row], prompted[number], again.get(number))
        for row, number in enumerate(objects)
    }
    return state, SequenceScores(name, scores, len(video), seconds)


def own_overlap(engine: Engine, labels: np.ndarray, objects: Sequence[int]) -> dict[int, float]:
    """IoU of the masks of frame 0 with those that the propagator gives for the same frame again.

    `labels` `[H, W]` uint8 are the ids of frame 0, `objects` those that count.
    """
    video, ids = open_video([engine.video[0]] * 2), tuple(objects)
    known = {0: Annotation(labels, ids)}
    ((_, found),) = engine.propagator.propagate(video, known, ids, [1], start=0)
    answer = np.asarray((0, *ids))[np.argmax(found, -1)]
    return {number: iou(answer == number, labels == number) for number in ids}


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
