"""Distances to clicks on the device, and the exact Euclidean distance transform on the host."""

import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jax import Array

from ivs_jax.types import BACKGROUND, OBJECT, Clicks

FAR = 1e6


def click_distances(clicks: Clicks, size: tuple[int, int]) -> Array:
    """Distance in pixels to the nearest click of each polarity: `[H, W, 2]`, object first.

    Clicks may lie between pixels. Without a click of a polarity its channel is 1e6.
    """
    dy = jnp.arange(size[0], dtype=jnp.float32)[:, None, None] - clicks.xy[None, None, :, 1]
    dx = jnp.arange(size[1], dtype=jnp.float32)[None, :, None] - clicks.xy[None, None, :, 0]
    squared = dy * dy + dx * dx
    nearest = [
        jnp.min(jnp.where(clicks.label[None, None] == label, squared, FAR**2), -1)
        for label in (OBJECT, BACKGROUND)
    ]
    return jnp.sqrt(jnp.stack(nearest, -1))


def disks(clicks: Clicks, size: tuple[int, int], *, radius: float) -> Array:
    """Filled disks around the clicks: `[H, W, 2]` float32, 1 inside (RITM's encoding)."""
    return (click_distances(clicks, size) <= radius).astype(jnp.float32)


def crosses(clicks: Clicks, size: tuple[int, int], *, reach: int = 2) -> Array:
    """Scribbles of one pixel as IPN draws them: `[H, W, 2]` float32, object first.

    Dilating a pixel `reach` times by a 3 x 3 cross gives all pixels within that city-block
    distance. Where the two overlap the object wins (experiments/papers/ipn.md, section 5).
    """
    pixel = jnp.floor(clicks.xy + 0.5)
    dy = jnp.abs(jnp.arange(size[0])[:, None, None] - pixel[None, None, :, 1])
    dx = jnp.abs(jnp.arange(size[1])[None, :, None] - pixel[None, None, :, 0])
    near = dy + dx <= reach
    own, other = (
        jnp.any(near & (clicks.label == label)[None, None], -1) for label in (OBJECT, BACKGROUND)
    )
    return jnp.stack([own, other & ~own], -1).astype(jnp.float32)


def truncated_maps(clicks: Clicks, size: tuple[int, int], *, limit: float = 255.0) -> Array:
    """BRS's interaction maps `1 - min(d, limit) / limit`: `[H, W, 2]`, 1 at a click."""
    return 1 - jnp.minimum(click_distances(clicks, size), limit) / limit


def tanh_maps(clicks: Clicks, size: tuple[int, int], *, scale: float = 260.0) -> Array:
    """f-BRS's distance maps `tanh(2 d / scale)`: `[H, W, 2]`, 0 at a click, 1 far away."""
    return jnp.tanh(2 * click_distances(clicks, size) / scale)


def distance_transform(mask: np.ndarray) -> np.ndarray:
    """Exact Euclidean distance of each True pixel of `mask` `[H, W]` to the nearest False pixel.

    The frame around the image counts as False (BRS and f-BRS pad one pixel). float64 `[H, W]`.
    """
    padded = np.pad(np.asarray(mask, bool), 1)
    return scipy.ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
