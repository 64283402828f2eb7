"""Bilinear and bicubic resizing, and crops whose box may change without recompiling.

Everything rests on `jax.image.scale_and_translate`, which multiplies by two interpolation matrices:
no gathers, so gradients are matrix products too, fast inside loops on CPU.
"""

import jax
import jax.numpy as jnp
from jax import Array


def resize(x: Array, size: tuple[int, int], *, align_corners: bool = False) -> Array:
    """Resizes `x` `[..., H, W, C]` to `[..., *size, C]` bilinearly, without antialiasing.

    `align_corners=False` maps pixel areas (STM), `True` maps corner pixel centres onto each other
    (IPN, f-BRS); both equal PyTorch's `interpolate(mode="bilinear")`.
    """
    height, width = x.shape[-3:-1]
    if (height, width) == size:
        return x
    scale = jnp.array(
        [_scale(height, size[0], align_corners), _scale(width, size[1], align_corners)]
    )
    shift = 0.5 - 0.5 * scale if align_corners else jnp.zeros(2)
    rows, columns = x.ndim - 3, x.ndim - 2
    return jax.image.scale_and_translate(
        x,
        (*x.shape[:-3], *size, x.shape[-1]),
        (rows, columns),
        scale,
        shift,
        "linear",
        antialias=False,
    )


def resize_cubic(x: Array, size: tuple[int, int]) -> Array:
    """Resizes `x` `[..., H, W, C]` to `[..., *size, C]` bicubically, without antialiasing.

    Equals OpenCV's INTER_CUBIC and PyTorch's "bicubic" (a = -0.75, edge pixels repeated).
    """
    shape = (*x.shape[:-3], *size, x.shape[-1])
    return jax.image.resize(x, shape, "cubic-pytorch", antialias=False)


def _scale(source: int, target: int, align_corners: bool) -> float:
    if not align_corners:
        return target / source
    if source > 1 and target > 1:
        return (target - 1) / (source - 1)
    # A single source or target pixel has no second corner: PyTorch then takes pixel 0. With this
    # scale every sample lies in the first half of pixel 0 and none beyond the edge, where 0 is.
    return 2.0 * target


def crop_resize(x: Array, box: Array, size: tuple[int, int]) -> Array:
    """Samples the window `box` of `x` `[H, W, C]` at `size`, antialiased where it shrinks.

    `box` is `[4]` float32 `(x0, y0, x1, y1)` in pixel edges (the whole image is `0, 0, W, H`); it
    may reach over the border, where the result is 0. It is traced: a new box compiles nothing.
    """
    extent = jnp.stack([box[3] - box[1], box[2] - box[0]])
    scale = jnp.array(size, jnp.float32) / extent
    origin = jnp.stack([box[1], box[0]])
    return jax.image.scale_and_translate(
        x, (*size, x.shape[-1]), (0, 1), scale, -origin * scale, "linear", antialias=True
    )


def paste(x: Array, box: Array, size: tuple[int, int]) -> Array:
    """Inverse of `crop_resize`: `x` `[h, w, C]` fills `box` of a `[*size, C]` canvas of 0."""
    extent = jnp.stack([box[3] - box[1], box[2] - box[0]])
    scale = extent / jnp.array(x.shape[:2], jnp.float32)
    origin = jnp.stack([box[1], box[0]])
    return jax.image.scale_and_translate(
        x, (*size, x.shape[-1]), (0, 1), scale, origin, "linear", antialias=True
    )
