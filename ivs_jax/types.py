"""Records shared by every layer. All are plain NamedTuples, hence JAX pytrees.

Conventions of the whole package: arrays are channels-last; points are `(x, y)` in pixels of the
original frame, pixel centres at integer coordinates; object ids are 1..254 and 0 is background.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

Array = jax.Array | np.ndarray

OBJECT, BACKGROUND, PADDING = 1, 0, -1
MAX_OBJECT_ID = 254


class Clicks(NamedTuple):
    """Clicks of one object on one frame, padded to a fixed capacity so that shapes stay static.

    Attributes:
      xy: `[N, 2]` float32, `(x, y)` in pixels; padding entries are 0.
      label: `[N]` int32, 1 = object, 0 = background, -1 = padding.
    """

    xy: Array
    label: Array


class Annotation(NamedTuple):
    """What the user fixed on one frame.

    Attributes:
      labels: `[H, W]` uint8 object ids, 0 = background.
      objects: the ids that the user marked on this frame; others were not looked at.
      scribbles: `[H, W]` uint8, what the user drew there, one pixel wide: object ids,
        0 = background, 255 = nothing; None if nothing was drawn.
    """

    labels: np.ndarray
    objects: tuple[int, ...]
    scribbles: np.ndarray | None = None


class Interaction(NamedTuple):
    """Answer of a click network (after refinement) for one object on one frame.

    Attributes:
      probability: `[H, W]` float32 in [0, 1].
      evaluations: network evaluations that refinement used; 0 without refinement.
      energy: final energy of the refinement; 0 without refinement.
      satisfied: `[N]` bool, one entry per real click: does the mask agree with it?
      seconds: wall time by phase, e.g. `{"compile": .., "encode": .., "refine": ..}`.
    """

    probability: np.ndarray
    evaluations: int
    energy: float
    satisfied: np.ndarray
    seconds: dict[str, float]


def make_clicks(
    points: Sequence[Sequence[float]] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    capacity: int | None = None,
) -> Clicks:
    """Packs points `[n, 2]` (x, y) and labels `[n]` (1 or 0) into padded `Clicks`.

    The capacity defaults to the next of 8, 16, 32, ... so that adding a click seldom changes a
    shape. Raises ValueError for wrong shapes, labels outside {0, 1}, non-finite coordinates or
    more points than the capacity.
    """
    xy = np.asarray(points, np.float32).reshape(-1, 2) if len(points) else np.zeros((0, 2), "f4")
    label = np.asarray(labels, np.int32).reshape(-1)
    if len(xy) != len(label):
        raise ValueError(f"points and labels differ in length: {len(xy)} and {len(label)}")
    if not np.isfinite(xy).all():
        raise ValueError(f"points must be finite, found {xy[~np.isfinite(xy).all(1)][0].tolist()}")
    if not np.isin(label, (OBJECT, BACKGROUND)).all():
        raise ValueError(f"labels must be 1 or 0, found {sorted(set(label.tolist()))}")
    if capacity is None:
        capacity = 8
        while capacity < len(xy):
            capacity *= 2
    if len(xy) > capacity:
        raise ValueError(f"{len(xy)} clicks do not fit a capacity of {capacity}")
    pad = capacity - len(xy)
    return Clicks(np.pad(xy, ((0, pad), (0, 0))), np.pad(label, (0, pad), constant_values=PADDING))
