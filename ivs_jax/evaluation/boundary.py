"""Boundary measure F of DAVIS (Perazzi et al., CVPR 2016), as the 2017 evaluation computes it.

A boundary pixel counts as right when the other mask has a boundary pixel within a disk of 0.8 % of
the diagonal. The disk dilation is done as a nearest-neighbour query over the few boundary pixels,
which are looked for only around the masks: the same answer as dilating whole maps, more than ten
times sooner at 480p.
"""

import math

import numpy as np
from scipy.spatial import cKDTree

from ivs_jax.evaluation.region import check_masks

BOUND = 0.008


def f_measure(prediction: np.ndarray, truth: np.ndarray, *, bound: float = BOUND) -> float:
    """F, the harmonic mean of boundary precision and recall, of two `[H, W]` bool masks.

    Neither mask has a boundary: 1; only one has: 0. `bound` is a share of the diagonal, or pixels
    when it is 1 or more.
    """
    check_masks(prediction, truth)
    window = _window(prediction | truth)
    found = np.argwhere(boundary_map(prediction[window]))
    wanted = np.argwhere(boundary_map(truth[window]))
    if not len(found) or not len(wanted):
        return 1.0 if len(found) == len(wanted) else 0.0
    radius = boundary_radius(truth.shape, bound=bound)
    precision = _share_near(found, wanted, radius)
    recall = _share_near(wanted, found, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """`[H, W]` bool: pixels that differ from their right, lower or lower-right neighbour.

    The last row looks only to the right, the last column only down, the corner nowhere.
    """
    edge = np.zeros(mask.shape, bool)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge


def boundary_radius(shape: tuple[int, ...], *, bound: float = BOUND) -> int | float:
    """Radius of the disk in pixels for a frame of `shape` (H, W): 8 at 480 x 854."""
    return bound if bound >= 1 else math.ceil(bound * math.hypot(shape[0], shape[1]))


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the mask and one more on each side, where the frame has them.

    Outside, nothing differs from its neighbours; and the last row and column of the window are
    either empty or those of the frame, so that the map's rule for them fits.
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0), slice(0)
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )


def _share_near(points: np.ndarray, others: np.ndarray, radius: float) -> float:
    """Share of `points` `[n, 2]` within `radius` (inclusive) of one of `others` `[m, 2]`."""
    # The query excludes its bound, so it looks a little farther; squared distances are integers,
    # so a thousandth of a pixel decides exactly up to a radius of some hundred pixels.
    distance, _ = cKDTree(others).query(points, distance_upper_bound=radius + 1e-3)
    return float(np.count_nonzero(distance <= radius + 1e-6)) / len(points)
