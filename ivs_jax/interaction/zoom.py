"""The window of a frame that the click network sees.

f-BRS zooms in on the predicted object from the second click on (spec B6): the box of the previous
mask and the positive clicks, enlarged. Here the window is always a square, so that one compiled
program serves every object; what lies beyond the image is black.
"""

import numpy as np

from ivs_jax.types import OBJECT, Clicks

EXPANSION = 1.4
SMALLEST = 96.0


def whole_window(size: tuple[int, int]) -> np.ndarray:
    """Square around an image of `size` = (H, W): `(x0, y0, x1, y1)` pixel edges, `[4]` float32."""
    side = float(max(size))
    return _square(size[1] / 2, size[0] / 2, side)


def zoom_window(
    size: tuple[int, int],
    clicks: Clicks,
    previous: np.ndarray | None,
    *,
    threshold: float = 0.5,
    expansion: float = EXPANSION,
    smallest: float = SMALLEST,
) -> np.ndarray:
    """Window for the next prediction, `[4]` float32.

    `previous` `[H, W]` is the mask before the last click; without one, or with an empty one, the
    window is the whole image. It never exceeds the whole image's and every positive click is in it.
    """
    mask = None if previous is None else previous > threshold
    if mask is None or not mask.any():
        return whole_window(size)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corners = [(columns[0], rows[0]), (columns[-1] + 1, rows[-1] + 1)]
    xy = np.asarray(clicks.xy)[np.asarray(clicks.label) == OBJECT]
    points = np.concatenate([np.array(corners, np.float32), xy + 0.5])
    low, high = points.min(0), points.max(0)
    side = max(expansion * float((high - low).max()), smallest)
    side = min(side, float(max(size)))
    centre = [
        _inside(c, side, limit) for c, limit in zip((low + high) / 2, size[::-1], strict=True)
    ]
    return _square(centre[0], centre[1], side)


def touches_border(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> bool:
    """Does `mask` `[S, S]` bool of the window `box` reach a border that lies inside the image?

    Then the object probably goes on outside the window.
    """
    height, width = size
    inside = (box[0] > 0, box[1] > 0, box[2] < width, box[3] < height)
    edges = (mask[:, 0], mask[0], mask[:, -1], mask[-1])
    return any(bool(edge.any()) for edge, real in zip(edges, inside, strict=True) if real)


def widened(box: np.ndarray, size: tuple[int, int], *, factor: float = 1.5) -> np.ndarray:
    """The window enlarged by `factor`, at most to the whole image's."""
    side = min(factor * float(box[2] - box[0]), float(max(size)))
    cx = _inside(float(box[0] + box[2]) / 2, side, size[1])
    cy = _inside(float(box[1] + box[3]) / 2, side, size[0])
    return _square(cx, cy, side)


def _inside(centre: float, side: float, limit: int) -> float:
    """Moves the window's centre along one axis so that it shows as little outside as possible."""
    if side >= limit:
        return limit / 2
    return float(np.clip(centre, side / 2, limit - side / 2))


def _square(cx: float, cy: float, side: float) -> np.ndarray:
    half = side / 2
    return np.array([cx - half, cy - half, cx + half, cy + half], np.float32)
