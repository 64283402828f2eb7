"""J and F of every frame as a session changes, and the curves of them.

A curve is quality against the time a user waits, or against rounds, as in the DAVIS interactive
challenge (experiments/papers/evaluation.md, section 4.1).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ivs_jax.evaluation.vos.scores import score_frames
from ivs_jax.session import State

Values = Sequence[float] | np.ndarray


class Curve(NamedTuple):
    """A line through points: `x` ascending from 0, `y` in [0, 1]."""

    x: tuple[float, ...]
    y: tuple[float, ...]


def time_curve(scores: Values, seconds: Values, limit: float | None = None) -> Curve:
    """Mean score after each round against mean seconds spent so far.

    `scores` and `seconds` `[R]`, those of each round, R >= 1. The curve begins at (0, 0) and, if
    the seconds allowed are given as `limit`, goes on at its last height to there.
    """
    x, y = np.cumsum([0.0, *seconds]).tolist(), [0.0, *scores]
    if limit is not None and limit > x[-1]:
        x, y = [*x, limit], [*y, y[-1]]
    return Curve(tuple(map(float, x)), tuple(map(float, y)))


def round_curve(scores: Values) -> Curve:
    """Mean score after each round against the number of rounds, from (0, 0): the same on every
    machine. (How others draw it is not specified; this is the time curve with a second a round.)"""
    return time_curve(scores, [1.0] * len(scores))


def auc(curve: Curve) -> float:
    """Area under the curve by trapezoids, as a share of what a score of 1 throughout would give."""
    x, y = np.array(curve.x), np.array(curve.y)
    if x[-1] == 0:  # no round was finished
        return 0.0
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / x[-1])


def value_at(curve: Curve, x: float) -> float:
    """The curve's y at `x`, between points by a straight line, beyond its end its last height."""
    return float(np.interp(x, curve.x, curve.y))


class FrameScores:
    """Scores of a session on one sequence; only frames that changed are measured anew.

    Attributes:
      j, f: `[K, T]` float64, of each of the objects on each frame, the first and last too.
    """

    def __init__(self, truth: Sequence[np.ndarray], objects: Sequence[int]) -> None:
        """`truth`: ids `[H, W]` uint8 of every frame. Scores are those of empty masks at first."""
        self._truth, self._objects = truth, tuple(objects)
        self._packed: list[bytes | None] = [None] * len(truth)
        absent = np.array([[not (labels == k).any() for labels in truth] for k in self._objects])
        self.j, self.f = absent.astype(np.float64), absent.astype(np.float64)

    def update(self, state: State) -> None:
        """Takes up the masks of `state`."""
        masks = [state.scene.frames.get(frame) for frame in range(len(self._truth))]
        packed = [None if found is None else found.labels for found in masks]
        changed = [f for f, now in enumerate(packed) if now != self._packed[f]]
        if changed:
            self.j[:, changed], self.f[:, changed] = score_frames(
                lambda frame: self._truth[frame], state.labels, self._objects, changed
            )
        self._packed = packed
