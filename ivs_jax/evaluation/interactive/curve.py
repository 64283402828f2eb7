"""Quality against the time a user waits, or against rounds: the curves of the DAVIS interactive
challenge and what is read off them (spec evaluation.md 4.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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


def area(curve: Curve) -> float:
    """Area under the curve by trapezoids, as a share of what a score of 1 throughout would give."""
    x, y = np.array(curve.x), np.array(curve.y)
    if x[-1] == 0:  # no round was finished
        return 0.0
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / x[-1])


def height(curve: Curve, x: float) -> float:
    """The curve's y at `x`, between points by a straight line, beyond its end its last height."""
    return float(np.interp(x, curve.x, curve.y))
