"""The click robot of BRS and f-BRS: a simulated user that corrects the largest error.

The rule (experiments/papers/evaluation.md, section 1.1): the wrong pixel that lies deepest inside
its error region, measured by the exact Euclidean distance to the nearest right pixel, the world
outside the frame counted as right.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from ivs_jax.types import BACKGROUND, OBJECT


def next_click(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    ignore: np.ndarray | None = None,
    clicked: Iterable[Sequence[float]] = (),
) -> tuple[int, int, int] | None:
    """Returns the next click `(x, y, label)`, label 1 = object, 0 = background.

    A click lands on the object exactly when the deepest missed pixel lies strictly deeper than the
    deepest false one; among equally deep pixels it is the first in row-major order.

    Args:
      truth: `[H, W]` bool, the object.
      prediction: `[H, W]` bool, the present mask; all False before the first click.
      ignore: `[H, W]` bool, pixels that count neither as missed nor as false.
      clicked: earlier clicks, `(x, y)` or `(x, y, label)`; their pixels are never clicked again.

    Returns None when no wrong pixel is left that was not clicked before.
    Raises ValueError for arrays that are not 2-D bool of one shape.
    """
    _check(truth, prediction, ignore)
    missed, false = truth & ~prediction, prediction & ~truth
    if ignore is not None:
        missed, false = missed & ~ignore, false & ~ignore
    pixels = _pixels(clicked, truth.shape)
    miss_depth, miss_at = _deepest(missed, pixels)
    false_depth, false_at = _deepest(false, pixels)
    if max(miss_depth, false_depth) == 0:
        return None
    label = OBJECT if miss_depth > false_depth else BACKGROUND
    y, x = miss_at if label == OBJECT else false_at
    return x, y, label


def _deepest(error: np.ndarray, clicked: np.ndarray) -> tuple[float, tuple[int, int]]:
    """Depth and (row, column) of the deepest unclicked pixel of `error`; depth 0 if none."""
    rows, columns = np.flatnonzero(error.any(1)), np.flatnonzero(error.any(0))
    if not len(rows):
        return 0.0, (0, 0)
    # The bounding box with its frame of zeros gives the distances of the whole image: the nearest
    # right pixel of a pixel in the box is never farther than that frame.
    top, left = rows[0], columns[0]
    box = np.pad(error[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    depth = distance_transform_edt(box)[1:-1, 1:-1]
    inside = clicked - (top, left)
    inside = inside[((inside >= 0) & (inside < depth.shape)).all(1)]
    depth[inside[:, 0], inside[:, 1]] = 0
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return float(depth[y, x]), (int(y + top), int(x + left))


def _pixels(clicked: Iterable[Sequence[float]], shape: tuple[int, ...]) -> np.ndarray:
    """Rows and columns `[n, 2]` of the clicked pixels; clicks outside the frame are dropped."""
    points = [(click[1], click[0]) for click in clicked]
    pixels = np.rint(np.asarray(points, np.float64).reshape(-1, 2)).astype(np.int64)
    return pixels[((pixels >= 0) & (pixels < shape)).all(1)]


def _check(truth: np.ndarray, prediction: np.ndarray, ignore: np.ndarray | None) -> None:
    for name, mask in (("truth", truth), ("prediction", prediction), ("ignore", ignore)):
        if mask is None:
            continue
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise ValueError(f"{name} must be [H, W] bool, found {mask.shape} {mask.dtype}")
        if mask.shape != truth.shape:
            raise ValueError(f"{name} is {mask.shape}, truth is {truth.shape}: shapes must agree")
