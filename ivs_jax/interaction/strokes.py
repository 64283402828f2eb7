"""Strokes as pixels: what is drawn where, and what networks see of it.

A stroke is drawn one pixel wide by Bresenham's rule (experiments/papers/ipn.md, section 5). Paths
have their pixel centres at integers; a point means the pixel it lies in.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ivs_jax.interaction.events import Stroke
from ivs_jax.types import BACKGROUND, OBJECT

NOTHING = 255  # of drawn ids
UNMARKED = -1  # of signed maps
MOST_CLICKS = 4  # of a stroke
PER_CLICK = 8  # a stroke gets a click for each such part of the shorter side of the frame
LEAST_REACH = 8  # pixels


def pixels(path: Iterable[Sequence[float]], size: tuple[int, ...]) -> np.ndarray:
    """Pixels under points `(x, y)` of a frame of `size` (H, W): `[n, 2]` int64 (x, y).

    The frame spans -0.5 .. W - 0.5; what lies outside is taken to its border.
    """
    xy = np.floor(np.array([*path], np.float64).reshape(-1, 2) + 0.5).astype(np.int64)
    return np.clip(xy, 0, np.array([size[1] - 1, size[0] - 1]))


def drawn_pixels(path: Iterable[Sequence[float]], size: tuple[int, ...]) -> np.ndarray:
    """Pixels of the line through the points in the order of drawing: `[n, 2]` int64 (x, y).

    Each is a neighbour (of 8) of the one before; a line may come back to a pixel.
    """
    corners = pixels(path, size)
    first, step = corners[:-1], np.diff(corners, axis=0)
    far, near = np.abs(step).max(1), np.abs(step).min(1)
    # Of every segment the pixels after its first corner, which the segment before it ends at.
    at = np.arange(far.sum()) - np.repeat(np.cumsum(far) - far, far) + 1
    first, step, far, near = (np.repeat(values, far, axis=0) for values in (first, step, far, near))
    aside = (2 * near * at + far) // (2 * far)  # to the nearest pixel, halves on
    along_x = (np.abs(step[:, 0]) > np.abs(step[:, 1]))[:, None]
    moved = np.where(along_x, np.stack([at, aside], 1), np.stack([aside, at], 1))
    return np.concatenate([corners[:1], first + np.sign(step) * moved])


def rasterise(strokes: Iterable[Stroke], size: tuple[int, ...]) -> np.ndarray:
    """Ids of what was drawn, `[H, W]` uint8: 0 = background, 255 = nothing.

    One pixel wide; later strokes lie over earlier ones. `size` is (H, W).
    """
    labels = np.full(tuple(size), NOTHING, np.uint8)
    for stroke in strokes:
        x, y = drawn_pixels(stroke.path, size).T
        labels[y, x] = stroke.object
    return labels


def signed(labels: np.ndarray, object: int) -> np.ndarray:
    """What was drawn, as one object sees it: `[H, W]` int8.

    1 = a stroke of its own, 0 = of another object or the background, -1 = nothing. `labels` is
    from `rasterise`.
    """
    return np.select(
        [labels == object, labels != NOTHING],
        [np.int8(OBJECT), np.int8(BACKGROUND)],
        np.int8(UNMARKED),
    )


def near(own: np.ndarray) -> np.ndarray:
    """Where strokes of others say something about an object, bool `[H, W]`.

    `own` `[H, W]` bool are the object's mask and strokes. It is that and its surroundings, up to a
    quarter of its longer side away (at least 8 pixels): there a mask spills over. Networks were
    not trained with background marks far away from an object, and dozens of them mislead click
    networks. IPN's own rule is not known (a third party takes those within the mask alone;
    experiments/papers/ipn.md, section 8).
    """
    from scipy.ndimage import distance_transform_edt

    if not own.any():
        return own
    rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    reach = max(LEAST_REACH, max(np.ptp(rows), np.ptp(columns)) / 4)
    found: np.ndarray = distance_transform_edt(~own) <= reach
    return found


def scribble_clicks(
    drawn: np.ndarray, size: tuple[int, ...], *, where: np.ndarray | None = None
) -> np.ndarray:
    """A few pixels of a stroke for networks that see clicks alone, `[n, 2]` float32 (x, y).

    `drawn` are its `drawn_pixels`. Spread evenly over the stroke: one for each started eighth of
    the frame's shorter side, at most 4. With `where` `[H, W]` bool they are of the part of the
    stroke in it, none if there is no such part.
    """
    found = drawn
    if where is not None:
        found = found[where[found[:, 1], found[:, 0]]]
    count = min(-(-len(found) * PER_CLICK // min(size)), MOST_CLICKS, len(found))
    middles = (2 * np.arange(count) + 1) * len(found) // (2 * max(count, 1))
    return found[middles].astype(np.float32)


def stroke_maps(signed: np.ndarray) -> np.ndarray:
    """A signed map as IPN sees it: `[H, W, 2]` float32, 1 on strokes, the object's first.

    Each dilated twice by a 3 x 3 cross; where the two overlap the object wins
    (experiments/papers/ipn.md, section 5).
    """
    from scipy.ndimage import binary_dilation

    own, other = (binary_dilation(signed == label, iterations=2) for label in (OBJECT, BACKGROUND))
    return np.stack([own, other & ~own], -1).astype(np.float32)
