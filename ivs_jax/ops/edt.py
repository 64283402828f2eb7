"""Exact Euclidean distance transform on the device.

Separable: the distance to the nearest False pixel of the own column by two running extrema, then
the lower envelope of the parabolas of a row, here as a running minimum over column offsets. An
offset of `k` columns can only shorten distances above `k`, so the loop ends at the deepest pixel:
for the error regions of a mask that is long before the width of the image. Squared distances are
integers, so the result is exact. Memory: a few arrays of the size of the mask.
"""

import jax
import jax.numpy as jnp
from jax import Array

STRIDE = 4  # offsets a turn of the loop, so that the arrays are passed over less often


@jax.custom_batching.custom_vmap
def squared_distances(mask: Array) -> Array:
    """Squared distance from each True pixel to the nearest False pixel, `[..., H, W]` int32.

    `mask` is `[..., H, W]` bool. The world outside the image counts as False, as in
    `ops.distance.distance_transform`. Leading axes, those of `vmap` too, share one loop.
    """
    height, width = mask.shape[-2:]
    columns, axis = _in_columns(mask) ** 2, mask.ndim - 1
    reach = (min(height, width) + 1) // 2 + STRIDE  # no pixel lies deeper
    wide = jnp.pad(columns, ((0, 0),) * axis + ((reach, reach),))  # the frame is False: 0

    def unfinished(state: tuple[Array, Array]) -> Array:
        offset, nearest = state
        return (offset + 1) ** 2 < nearest.max()

    def farther(state: tuple[Array, Array]) -> tuple[Array, Array]:
        offset, nearest = state
        for at in (offset + step for step in range(1, STRIDE + 1)):
            left = jax.lax.dynamic_slice_in_dim(wide, reach - at, width, axis)
            right = jax.lax.dynamic_slice_in_dim(wide, reach + at, width, axis)
            nearest = jnp.minimum(nearest, jnp.minimum(left, right) + at**2)
        return offset + STRIDE, nearest

    return jax.lax.while_loop(unfinished, farther, (jnp.int32(0), columns))[1]


@squared_distances.def_vmap
def _batched(size: int, batched: list[bool], mask: Array) -> tuple[Array, bool]:
    """Without this rule offsets would be batched too, and slices become gathers."""
    del size, batched  # of one argument: it is batched, on the leading axis
    return squared_distances(mask), True


def distance_transform(mask: Array) -> Array:
    """Distance from each True pixel to the nearest False pixel, `[..., H, W]` float32.

    The device's `ops.distance.distance_transform`.
    """
    return jnp.sqrt(squared_distances(mask).astype(jnp.float32))


def _in_columns(mask: Array) -> Array:
    """Distance along the column to the nearest False pixel, the frame included; int32."""
    height, axis = mask.shape[-2], mask.ndim - 2
    row = jax.lax.broadcasted_iota(jnp.int32, mask.shape, axis)
    above, below = jnp.where(mask, -1, row), jnp.where(mask, height, row)
    # On CPU `lax.cummax` takes 7 x as long.
    above = jax.lax.associative_scan(jnp.maximum, above, axis=axis)
    below = jax.lax.associative_scan(jnp.minimum, below, axis=axis, reverse=True)
    return jnp.minimum(row - above, below - row)
