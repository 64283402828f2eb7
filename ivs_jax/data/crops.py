"""Random windows around an object and photometric changes, on the host (Pillow, NumPy)."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import Image

Drawn = TypeVar("Drawn")
Box = tuple[float, float, float, float]
MOST_DRAWS = 1000


def drawn(draw: Callable[[], Drawn | None], count: int) -> list[Drawn]:
    """`count` results of `draw` that are not None. ValueError if hardly any is: no endless loop."""
    results: list[Drawn] = []
    for _ in range(MOST_DRAWS * count):
        result = draw()
        if result is not None:
            results.append(result)
        if len(results) == count:
            return results
    found = f"{len(results)} of {count} samples in {MOST_DRAWS * count} draws"
    raise ValueError(f"{found}: the objects are too few or too small for this size of window")


def bounding_box(mask: np.ndarray) -> Box:
    """`(x0, y0, x1, y1)` pixel edges of the True pixels of `mask` `[H, W]` (must not be empty)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def random_window(
    mask: np.ndarray, rng: np.random.Generator, *, whole: float, zoom: tuple[float, float]
) -> Box:
    """A square window that holds the object, as inference sees it.

    With probability `whole` about the whole image (the first click of a user), else the object's
    box enlarged by a factor from `zoom` (later clicks, after zooming in) and shifted a little. It
    may reach over the border.
    """
    height, width = mask.shape
    x0, y0, x1, y1 = bounding_box(mask)
    longest = max(height, width)
    if rng.random() < whole:
        side = longest * rng.uniform(0.75, 1.05)
        cx = width / 2 + rng.uniform(-0.5, 0.5) * abs(width - side)
        cy = height / 2 + rng.uniform(-0.5, 0.5) * abs(height - side)
    else:
        side = min(max(x1 - x0, y1 - y0, 24) * rng.uniform(*zoom), 1.2 * longest)
        free = np.maximum(side - np.array([x1 - x0, y1 - y0]), 0) / 2
        cx = (x0 + x1) / 2 + rng.uniform(-0.8, 0.8) * free[0]
        cy = (y0 + y1) / 2 + rng.uniform(-0.8, 0.8) * free[1]
    return cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2


def crop(pixels: np.ndarray, box: Box, size: int, *, flip: bool = False) -> np.ndarray:
    """Resizes the window `box` of uint8 `pixels` to `size` x `size`; 0 beyond the border.

    Images `[H, W, 3]` are resampled bilinearly with antialiasing, labels `[H, W]` to the nearest.
    """
    x0, y0, x1, y1 = (round(v) for v in box)
    edges = x0, y0, max(x1, x0 + 2), max(y1, y0 + 2)
    method = Image.Resampling.BILINEAR if pixels.ndim == 3 else Image.Resampling.NEAREST
    out = np.asarray(Image.fromarray(pixels).crop(edges).resize((size, size), method))
    return out[:, ::-1] if flip else out


def jitter(image: np.ndarray, rng: np.random.Generator, *, strength: float = 1.0) -> np.ndarray:
    """Random gain, contrast, colour balance and saturation of uint8 `image` `[H, W, 3]`."""
    x = image.astype(np.float32) / 255
    gain = 1 + strength * rng.uniform(-0.25, 0.25)
    balance = 1 + strength * rng.uniform(-0.08, 0.08, 3).astype(np.float32)
    contrast, saturation = 1 + strength * rng.uniform(-0.25, 0.25, 2)
    grey = x.mean(-1, keepdims=True)
    x = (grey + saturation * (x - grey)) * balance
    x = (x - 0.5) * contrast + 0.5
    return (np.clip(x * gain, 0, 1) * 255).astype(np.uint8)
