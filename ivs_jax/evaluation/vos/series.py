"""Statistics of a measure over the frames of one object: mean, recall, decay (DAVIS)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ivs_jax.evaluation.region import Mean


class Statistics(NamedTuple):
    """DAVIS statistics of J or F.

    Attributes:
      mean: mean over the frames.
      recall: share of frames strictly above 0.5.
      decay: mean of the first quarter minus mean of the last; negative = it got better.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float] | np.ndarray) -> Statistics:
    """Statistics of one object's per-frame `values` `[n]`, n >= 1.

    Quarters share their border frame, as in the official code. That code keeps the borders in
    uint8 and so goes wrong beyond 256 frames; this one does not.
    """
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not len(series):
        raise ValueError(f"values must be [n] with n >= 1, found shape {series.shape}")
    border = np.round(np.linspace(1, len(series), 5) + 1e-10).astype(int) - 1
    first, last = series[border[0] : border[1] + 1], series[border[3] : border[4] + 1]
    return Statistics(
        float(series.mean()), float((series > 0.5).mean()), float(first.mean() - last.mean())
    )


def average(parts: Iterable[Statistics]) -> Statistics:
    """Mean of the statistics of several objects, every object with the same weight."""
    sums = [Mean(), Mean(), Mean()]
    for part in parts:
        sums = [total.add(value) for total, value in zip(sums, part, strict=True)]
    return Statistics(*(total.value for total in sums))
