"""The window of a frame that the click network sees.

f-BRS zooms in on the predicted object from the second click on (experiments/papers/brs.md, section
B6): the box of the previous mask and the positive clicks, enlarged. Here the window is always a
square, so that one compiled program serves every object; what lies beyond the image is black.

The functions serve host and device: they compute with the namespace of their arrays (NumPy or
JAX), in float32, so that both get the same windows, and clicks in them, to the last bit.
"""

from typing import Any

import numpy as np

from ivs_jax.types import OBJECT, PADDING, Array, Clicks

EXPANSION = 1.4
SMALLEST = 96.0
FAR = 1e6

Size = tuple[int, int] | Array  # (H, W); on the device `[2]`


def whole_window(size: Size) -> Any:
    """Square around an image of `size` = (H, W): `(x0, y0, x1, y1)` pixel edges, `[4]` float32."""
    extent = _extent(size)
    return _square(extent / 2, extent.max())


def zoom_window(
    size: Size,
    clicks: Clicks,
    previous: Array | None,
    *,
    threshold: float = 0.5,
    expansion: float = EXPANSION,
    smallest: float = SMALLEST,
) -> Any:
    """Window for the next prediction, `[4]` float32.

    `previous` `[H, W]` is the mask before the last click, 0 in what pads it to a bucket; without
    one, or with an empty one, the window is the whole image. It never exceeds the whole image's and
    every positive click is in it.
    """
    if previous is None:
        return whole_window(size)
    mask: Any = previous > threshold
    xp, extent = mask.__array_namespace__(), _extent(size)
    columns, rows = mask.any(0), mask.any(1)
    positive = (clicks.label == OBJECT)[:, None]
    xy = xp.asarray(clicks.xy, dtype=xp.float32) + 0.5
    low = xp.where(positive, xy, xp.inf).min(0, initial=xp.inf)
    high = xp.where(positive, xy, -xp.inf).max(0, initial=-xp.inf)
    low = xp.minimum(low, _first(xp, columns, rows))
    high = xp.maximum(high, xp.asarray(mask.shape[::-1]) - _first(xp, columns[::-1], rows[::-1]))
    low, high = low.astype(xp.float32), high.astype(xp.float32)
    side = xp.maximum(expansion * (high - low).max(), smallest)
    return xp.where(rows.any(), _within((low + high) / 2, side, extent), whole_window(size))


def touches_border(mask: Array, box: Array, size: Size) -> Any:
    """Does `mask` `[S, S]` bool of the window `box` reach a border that lies inside the image?

    Then the object probably goes on outside the window.
    """
    xp, extent = mask.__array_namespace__(), _extent(size)
    inside = xp.concat([box[:2] > 0, box[2:] < extent])
    edges = xp.stack([mask[:, 0].any(), mask[0].any(), mask[:, -1].any(), mask[-1].any()])
    return (edges & inside).any()


def widened(box: Array, size: Size, *, factor: float = 1.5) -> Any:
    """The window enlarged by `factor`, at most to the whole image's."""
    return _within((box[:2] + box[2:]) / 2, factor * (box[2] - box[0]), _extent(size))


def into_window(clicks: Clicks, box: Array, side: int) -> Clicks:
    """`clicks` in pixels of the window `box` of `side` x `side`.

    Those outside are dropped: what lies there is background.
    """
    xp = box.__array_namespace__()
    scaled: Any = (clicks.xy + 0.5 - box[None, :2]) * (side / (box[2] - box[0]))
    xy = xp.maximum(scaled, -FAR) - 0.5  # between them, XLA cannot fuse product and difference
    inside = ((xy >= -0.5) & (xy < side - 0.5)).all(-1)
    label = xp.where(inside, clicks.label, PADDING).astype(xp.int32)
    return Clicks(xp.where(inside[:, None], xy, 0).astype(xp.float32), label)


def _within(centre: Any, side: Any, extent: Any) -> Any:
    """Square of `side`, at most the whole image's, moved to show as little outside as possible."""
    xp = centre.__array_namespace__()
    side = xp.minimum(side, extent.max())
    moved = xp.clip(centre, side / 2, xp.maximum(extent - side / 2, side / 2))
    return _square(xp.where(side >= extent, extent / 2, moved), side)


def _square(centre: Any, side: Any) -> Any:
    xp, half = centre.__array_namespace__(), side / 2
    return xp.concat([centre - half, centre + half]).astype(xp.float32)


def _first(xp: Any, columns: Array, rows: Array) -> Any:
    """Index of the first True column and row."""
    return xp.stack([columns.argmax(), rows.argmax()])


def _extent(size: Size) -> Any:
    """(W, H), `[2]` float32."""
    if isinstance(size, tuple):
        return np.array(size[::-1], np.float32)
    return size[::-1].astype(np.float32)
