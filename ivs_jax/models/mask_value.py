"""Values of a memory whose keys come from the image alone: what the masks say, with the features.

Following STCN (Cheng et al., NeurIPS 2021) the frame is encoded once, for key and query; a light
encoder fuses its features with the masks. Beside what it learns, a value holds the masks
themselves, averaged to cells of some pixels: reading them copies the mask at half the frame's
size, those of the other objects at a quarter, so that its boundary survives.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, ResBlock

STRIDE = 16  # pixels a side of a position of the memory
FINE, COARSE = 2, 4  # pixels a side of the cells of the object's own mask, and of the others'


class MaskValue(nn.Module):
    """Masks and features of a frame -> values at stride 16.

    Attributes:
      features: channels of the learnt part.
    """

    features: int

    @nn.compact
    def __call__(self, masks: Array, f8: Array, f16: Array) -> Array:
        """`masks` `[N, K, H, W, E]` in [0, 1], `f8` and `f16` `[N, h, w, C]` features of the frame.

        The first of the E masks is the object's own. Returns `[N * K, H/16, W/16, V]` with V of
        `value_width(features, E)`: the learnt part, the own mask's cells, those of the others.
        """
        n, k = masks.shape[:2]
        masks = masks.reshape(n * k, *masks.shape[2:])
        at_4 = average(masks, COARSE)
        half, full = self.features // 2, self.features
        x = nn.relu(Conv(half, (3, 3), (2, 2), kernel_init=HE, name="masks")(at_4))
        x = x + per_object(Conv(half, (1, 1), kernel_init=HE, name="features8")(f8), k)
        x = Conv(full, (3, 3), (2, 2), kernel_init=HE, name="down")(nn.relu(x))
        x = x + per_object(Conv(full, (1, 1), kernel_init=HE, name="features16")(f16), k)
        x = ResBlock(full, name="fuse")(x)
        x = Conv(full, (3, 3), name="value")(nn.relu(x))
        own = to_cells(average(masks[..., :1], FINE), STRIDE // FINE)
        others = to_cells(at_4[..., 1:], STRIDE // COARSE)
        return jnp.concatenate([x, own.astype(x.dtype), others.astype(x.dtype)], -1)


def value_width(features: int, masks: int) -> int:
    """Channels of a value with `features` learnt ones, of an object that sees `masks` masks."""
    return features + (STRIDE // FINE) ** 2 + (masks - 1) * (STRIDE // COARSE) ** 2


def read_masks(value: Array, features: int) -> tuple[Array, Array]:
    """The masks in what was read, `[N, h, w, V]`.

    Returns the own one at stride 2, `[N, 8h, 8w, 1]`, and all at stride 4, `[N, 4h, 4w, E]`.
    """
    end = features + (STRIDE // FINE) ** 2
    fine = from_cells(value[..., features:end], STRIDE // FINE)
    others = from_cells(value[..., end:], STRIDE // COARSE)
    return fine, jnp.concatenate([average(fine, COARSE // FINE), others], -1)


def per_object(x: Array, objects: int) -> Array:
    """What all objects of a frame share, `[N, ...]`, for each of them: `[N * K, ...]`."""
    return x if objects == 1 else jnp.repeat(x, objects, axis=0)


def average(x: Array, factor: int) -> Array:
    """Means over squares of `factor` pixels: `[..., H, W, C]` -> `[..., H / f, W / f, C]`."""
    *lead, height, width, channels = x.shape
    grid = (*lead, height // factor, factor, width // factor, factor, channels)
    return jnp.mean(x.reshape(grid), (-4, -2))


def to_cells(x: Array, side: int) -> Array:
    """Squares of `side` cells as channels: `[N, sh, sw, E]` -> `[N, h, w, s * s * E]`, by rows."""
    n, height, width, e = x.shape
    grid = x.reshape(n, height // side, side, width // side, side, e)
    return jnp.einsum("nhiwje->nhwije", grid).reshape(n, height // side, width // side, -1)


def from_cells(x: Array, side: int) -> Array:
    """The inverse of `to_cells`: `[N, h, w, s * s * E]` -> `[N, sh, sw, E]`."""
    n, height, width, channels = x.shape
    grid = x.reshape(n, height, width, side, side, channels // side**2)
    return jnp.einsum("nhwije->nhiwje", grid).reshape(n, side * height, side * width, -1)
