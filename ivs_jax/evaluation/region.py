"""Region similarity: intersection over union of two masks (J of DAVIS, IoU of click benchmarks)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A mean kept as (sum, count), so that merging parts is exact.

    Attributes:
      sum: sum of the values.
      count: number of values.
    """

    sum: float = 0.0
    count: int = 0

    def add(self, value: float) -> "Mean":
        return Mean(self.sum + float(value), self.count + 1)

    def merge(self, other: "Mean") -> "Mean":
        return Mean(self.sum + other.sum, self.count + other.count)

    @property
    def value(self) -> float:
        """The mean; raises ValueError when nothing was added (no silent NaN)."""
        if not self.count:
            raise ValueError("mean of no values: nothing was added")
        return self.sum / self.count


def iou(prediction: np.ndarray, truth: np.ndarray, *, ignore: np.ndarray | None = None) -> float:
    """Intersection over union of two `[H, W]` bool masks, in [0, 1].

    1 when both are empty (the DAVIS convention). Pixels where `ignore` is True are left out.
    Raises ValueError for arrays that are not bool of one shape.
    """
    check_masks(prediction, truth)
    if ignore is not None:
        check_masks(ignore, truth)
        prediction, truth = prediction & ~ignore, truth & ~ignore
    union = int(np.count_nonzero(prediction | truth))
    return int(np.count_nonzero(prediction & truth)) / union if union else 1.0


def check_masks(prediction: np.ndarray, truth: np.ndarray) -> None:
    """Raises ValueError unless both arrays are `[H, W]` bool and of one shape."""
    for name, mask in (("first mask", prediction), ("second mask", truth)):
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise ValueError(f"{name} must be [H, W] bool, found {mask.shape} {mask.dtype}")
    if prediction.shape != truth.shape:
        raise ValueError(f"masks differ in shape: {prediction.shape} and {truth.shape}")
