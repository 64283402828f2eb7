"""J and F of every object on every scored frame of a sequence, a thread for each core.

As in the official semi-supervised evaluation of DAVIS the first and the last frame are not scored
and void is not applied. The objects are those of frame 0; what has another id is background.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.davis import guesses_refused
from ivs_jax.evaluation.region import iou

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
    """J and F, float64 `[objects, frames]` each.

    `truth` and `predicted` are called once for each frame, from several threads: reading masks is
    the larger part of the work. Their errors are raised here.
    """

    def measured(frame: int) -> list[tuple[float, float]]:
        wanted, found = truth(frame), predicted(frame)
        pairs = ((found == number, wanted == number) for number in objects)
        return [(iou(*pair), f_measure(*pair)) for pair in pairs]

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with guesses_refused(), ThreadPoolExecutor(threads) as pool:
        scores = np.array(list(pool.map(measured, frames)), np.float64)
    scores = scores.reshape(len(frames), len(objects), 2)
    return scores[..., 0].T, scores[..., 1].T
