"""J and F of every object on every scored frame of a sequence, and the statistics of DAVIS of them.

As in the official semi-supervised evaluation of DAVIS the first and the last frame are not scored
and void is not applied. The objects are those of frame 0; what has another id is background.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.region import Mean, iou

Labels = Callable[[int], np.ndarray]  # frame -> ids `[H, W]` uint8

_MOST_THREADS = 8  # beyond, Python's own share of the work is what counts


@dataclass(frozen=True)
class ObjectScores:
    """One object.

    Attributes:
      j, f: `[T - 2]` float64, of the scored frames.
      prompted: J of frame 0 after the prompt; None where nothing was prompted.
      own: J of frame 0 segmented anew from its own mask in the memory; None if not asked for.
    """

    j: np.ndarray
    f: np.ndarray
    prompted: float | None = None
    own: float | None = None


@dataclass(frozen=True)
class SequenceScores:
    """One sequence.

    Attributes:
      objects: scores by object id.
      frames: number of frames, `T`.
      seconds: wall time of the propagation to the other `T - 1`; None if none was run.
    """

    name: str
    objects: Mapping[int, ObjectScores]
    frames: int
    seconds: float | None = None


def scored_frames(count: int) -> range:
    """The frames of a sequence that count: all but the first and the last."""
    return range(1, count - 1)


def objects_of(labels: np.ndarray) -> list[int]:
    """Ids above 0 that occur in `labels` `[H, W]`, ascending."""
    return [int(number) for number in np.unique(labels) if number]


def score_frames(
    truth: Labels, predicted: Labels, objects: Sequence[int], frames: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """J and F, float64 `[objects, frames]` each; a thread for each core.

    `truth` and `predicted` are called once for each frame, from several threads: reading masks is
    the larger part of the work. Their errors are raised here.
    """

    def measured(frame: int) -> list[tuple[float, float]]:
        wanted, found = truth(frame), predicted(frame)
        pairs = ((found == number, wanted == number) for number in objects)
        return [(iou(*pair), f_measure(*pair)) for pair in pairs]

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        scores = np.array(list(pool.map(measured, frames)), np.float64)
    scores = scores.reshape(len(frames), len(objects), 2)
    return scores[..., 0].T, scores[..., 1].T


class DavisStatistics(NamedTuple):
    """DAVIS statistics of J or F.

    Attributes:
      mean: mean over the frames.
      recall: share of frames strictly above 0.5.
      decay: mean of the first quarter minus mean of the last; negative = it got better.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float] | np.ndarray) -> DavisStatistics:
    """DavisStatistics of one object's per-frame `values` `[n]`, n >= 1.

    Quarters share their border frame, as in the official code. That code keeps the borders in
    uint8 and so goes wrong beyond 256 frames; this one does not.
    """
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not len(series):
        raise ValueError(f"values must be [n] with n >= 1, found shape {series.shape}")
    border = np.round(np.linspace(1, len(series), 5) + 1e-10).astype(int) - 1
    first, last = series[border[0] : border[1] + 1], series[border[3] : border[4] + 1]
    return DavisStatistics(
        float(series.mean()), float((series > 0.5).mean()), float(first.mean() - last.mean())
    )


def average(parts: Iterable[DavisStatistics]) -> DavisStatistics:
    """Mean of the statistics of several objects, every object with the same weight."""
    sums = [Mean(), Mean(), Mean()]
    for part in parts:
        sums = [total.add(value) for total, value in zip(sums, part, strict=True)]
    return DavisStatistics(*(total.value for total in sums))
