"""Static shapes: sides padded to a multiple, counts padded to a bucket."""

import jax.numpy as jnp
import numpy as np
from jax import Array

OBJECT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def padded_sides(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The smallest multiples of `multiple` that hold `height` and `width`."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def pad_below(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Zero-pads `x` `[H, W, ...]` to `size` at bottom and right, on the host."""
    edges = ((0, size[0] - x.shape[0]), (0, size[1] - x.shape[1]))
    return np.pad(x, (*edges, *[(0, 0)] * (x.ndim - 2)))


def pad_image(x: Array, size: tuple[int, int]) -> Array:
    """Zero-pads `x` `[..., H, W, C]` to `size`, half on top and left, the rest bottom and right.

    The split is STM's (its helpers round the half down). Raises ValueError if `x` is larger.
    """
    height, width = x.shape[-3:-1]
    if height > size[0] or width > size[1]:
        raise ValueError(f"pad_image: an image of {height} x {width} does not fit {size}")
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    edges = ((top, size[0] - height - top), (left, size[1] - width - left), (0, 0))
    return jnp.pad(x, ((0, 0),) * (x.ndim - 3) + edges)


def unpad_image(x: Array, size: tuple[int, int]) -> Array:
    """Cuts the `size` = (H, W) centre that `pad_image` padded out of `x` `[..., H', W', C]`."""
    top, left = (x.shape[-3] - size[0]) // 2, (x.shape[-2] - size[1]) // 2
    return x[..., top : top + size[0], left : left + size[1], :]


def object_bucket(count: int) -> int:
    """The padded number of objects for `count` objects, so that few shapes are ever compiled."""
    for bucket in OBJECT_BUCKETS:
        if count <= bucket:
            return bucket
    raise ValueError(f"at most {OBJECT_BUCKETS[-1]} objects are supported, found {count}")
