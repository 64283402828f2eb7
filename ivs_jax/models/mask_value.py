"""Values of a memory whose keys come from the image alone: what the masks say, with the features.

Following STCN (Cheng et al., NeurIPS 2021) the frame is encoded once, for key and query; a light
encoder fuses its features with the masks. Beside what it learns, a value holds the masks
themselves, averaged to cells of 4 x 4 pixels: reading them copies the mask at a quarter of the
frame's size, so that its boundary survives.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, ResBlock

CELL = 4  # pixels a side over which masks are averaged
SIDE = 4  # cells a side of a position of the memory, which is 16 pixels
CELLS = SIDE * SIDE


class MaskValue(nn.Module):
    """Masks and features of a frame -> values at stride 16.

    Attributes:
      features: channels of the learnt part.
    """

    features: int

    @nn.compact
    def __call__(self, masks: Array, f8: Array, f16: Array) -> Array:
        """`masks` `[N, K, H, W, E]` in [0, 1], `f8` and `f16` `[N, h, w, C]` features of the frame.

        Returns `[N * K, H/16, W/16, features + 16 * E]`, the masks' own cells last.
        """
        n, k = masks.shape[:2]
        at_4 = average(masks.reshape(n * k, *masks.shape[2:]), CELL)
        half, full = self.features // 2, self.features
        x = nn.relu(Conv(half, (3, 3), (2, 2), kernel_init=HE, name="masks")(at_4))
        x = x + per_object(Conv(half, (1, 1), kernel_init=HE, name="features8")(f8), k)
        x = Conv(full, (3, 3), (2, 2), kernel_init=HE, name="down")(nn.relu(x))
        x = x + per_object(Conv(full, (1, 1), kernel_init=HE, name="features16")(f16), k)
        x = ResBlock(full, name="fuse")(x)
        x = Conv(full, (3, 3), name="value")(nn.relu(x))
        return jnp.concatenate([x, to_cells(at_4).astype(x.dtype)], -1)


def per_object(x: Array, objects: int) -> Array:
    """What all objects of a frame share, `[N, ...]`, for each of them: `[N * K, ...]`."""
    return x if objects == 1 else jnp.repeat(x, objects, axis=0)


def average(x: Array, factor: int) -> Array:
    """Means over squares of `factor` pixels: `[..., H, W, C]` -> `[..., H / f, W / f, C]`."""
    *lead, height, width, channels = x.shape
    grid = (*lead, height // factor, factor, width // factor, factor, channels)
    return jnp.mean(x.reshape(grid), (-4, -2))


def to_cells(x: Array) -> Array:
    """`[N, 4h, 4w, E]` at stride 4 -> `[N, h, w, 16 * E]` at stride 16, row by row."""
    n, height, width, e = x.shape
    grid = x.reshape(n, height // SIDE, SIDE, width // SIDE, SIDE, e)
    return jnp.einsum("nhiwje->nhwije", grid).reshape(n, height // SIDE, width // SIDE, -1)


def from_cells(x: Array) -> Array:
    """The inverse of `to_cells`: `[N, h, w, 16 * E]` -> `[N, 4h, 4w, E]`."""
    n, height, width, channels = x.shape
    grid = x.reshape(n, height, width, SIDE, SIDE, channels // CELLS)
    return jnp.einsum("nhwije->nhiwje", grid).reshape(n, SIDE * height, SIDE * width, -1)
