"""A correction changes what was asked for, and leaves the rest of a mask as it was.

A click network answers for the whole object each time; where it was right before, a correction
elsewhere could spoil it. So of all differences between the new mask and the one before only those
count that a hint lies in (the progressive merge of FocalClick, Chen et al., CVPR 2022), and only
around the hint, because what is wrong often hangs together with what is right. And such networks
expect a first click in the middle of the object, which nobody made on a propagated mask: the mask
itself gives it.
"""

import numpy as np
from scipy import ndimage

from ivs_jax.ops.distance import distance_transform
from ivs_jax.types import BACKGROUND, OBJECT

_REACH = 0.3  # of the square root of the larger mask's area: how far from a hint a change may go
_LEAST = 16.0  # pixels that it may go at least
_ALL = np.ones((3, 3), bool)


def corrected(new: np.ndarray, before: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The mask after a correction.

    Args:
      new, before: probabilities `[H, W]` float32 of the object; above 0.5 is the object.
      said: `[H, W]` int8 of all hints: 1 = object, 0 = background, -1 = nothing.

    Returns:
      `[H, W]` float32: `new`, but `before` where the object was gained or lost without a hint that
      says so in the same 8-connected region and within 0.3 times the side of the object.
    """
    is_now, was = new > 0.5, before > 0.5
    reach = max(_LEAST, _REACH * float(np.sqrt(max(is_now.sum(), was.sum()))))
    gained = _without_hint(is_now & ~was, said == OBJECT, reach)
    lost = _without_hint(was & ~is_now, said == BACKGROUND, reach)
    return np.where(gained | lost, before, new)


def anchor(before: np.ndarray, said: np.ndarray) -> tuple[int, int] | None:
    """The innermost pixel (x, y) of the mask `before`, far from what the hints deny.

    Arguments as for `corrected`; None where the mask is empty or denied as a whole.
    """
    depth = distance_transform(before > 0.5)
    denied = said == BACKGROUND
    if denied.any():
        depth = np.minimum(depth, ndimage.distance_transform_edt(~denied))
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return (int(column), int(row)) if depth[row, column] > 0 else None


def _without_hint(change: np.ndarray, hints: np.ndarray, reach: float) -> np.ndarray:
    """The pixels of `change` that are not near a hint in their own region."""
    if not hints.any():
        return change
    regions, _ = ndimage.label(change, _ALL)
    hinted = np.isin(regions, np.unique(regions[hints & change]))
    return change & ~(hinted & (ndimage.distance_transform_edt(~hints) <= reach))
