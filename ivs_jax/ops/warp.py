"""Window around the marked pixels of a frame, and bilinear sampling into it and back (IPN).

A window is axis-aligned, so sampling it is separable: two products with matrices of hat functions
instead of gathers. Gradients are matrix products too, and what lies outside the image is 0.

Boxes are `[N, 4]` float32 `(x0, y0, x1, y1)`: where in the frame, in pixels with centres at
integers, the centres of the corner pixels of the window lie (PyTorch's `align_corners=True`).
"""

import jax.numpy as jnp
from jax import Array, lax

Sides = tuple[int, int]
LEAST = 128  # pixels that a box spans at least before it is enlarged
ENLARGED = 1.5
BEYOND = 5  # pixels that a box may reach over the border


def roi_box(marked: Array, size: Array | Sides | None = None) -> Array:
    """Box around the marked pixels of IPN: `[N, 4]` float32.

    As in the official code (experiments/papers/ipn.md, section 4). `marked` is `[N, H, W]` bool;
    with no pixel marked the box spans the whole frame. `size` is the (H, W) of the frame where the
    arrays are padded at bottom and right; it may be traced.
    """
    height, width = marked.shape[1:] if size is None else (size[0], size[1])
    y0, y1 = _span(jnp.any(marked, 2), height)
    x0, x1 = _span(jnp.any(marked, 1), width)
    return jnp.stack([x0, y0, x1, y1], -1)


def _span(hit: Array, length: Array | int) -> tuple[Array, Array]:
    """Ends of the box along one axis; `hit` `[N, L]` says where something is marked."""
    index, count = jnp.arange(hit.shape[1])[None], hit.shape[1]
    some = jnp.any(hit, 1)
    low = jnp.where(some, jnp.min(jnp.where(hit, index, count), 1), 0)
    high = jnp.where(some, jnp.max(jnp.where(hit, index, 0), 1), length)
    grow = jnp.maximum(LEAST - (high - low), 0) // 2
    low, high = low - grow, high + grow
    margin = (ENLARGED - 1) / 2 * (high - low + 1).astype(jnp.float32)
    low, high = jnp.maximum(low - margin, -BEYOND), jnp.minimum(high + margin, length + BEYOND)
    # The extent counts both end pixels, hence half a pixel more on each side.
    return low - 0.5, high + 0.5


def warp(x: Array, box: Array, side: int) -> Array:
    """Samples the boxes of `x` `[N, H, W, C]` bilinearly to `[N, side, side, C]`; outside is 0."""
    along = jnp.linspace(0.0, 1.0, side)[None]
    x0, y0, x1, y1 = (box[:, i, None] for i in range(4))
    rows = _hats(y0 + along * (y1 - y0), x.shape[1])
    columns = _hats(x0 + along * (x1 - x0), x.shape[2])
    return _sample(x, rows, columns)


def unwarp(
    x: Array,
    box: Array,
    shape: Sides,
    size: Array | Sides | None = None,
    *,
    exact: bool = False,
) -> Array:
    """Puts windows `x` `[N, side, side, C]` back into frames `[N, *shape, C]`; elsewhere 0.

    The published inverse has W where that of `warp` needs W - 1, so masks shrink about the centre
    of the frame by one pixel in W (experiments/papers/ipn.md, section 4); `exact` undoes `warp`.
    `size` as in `roi_box`.
    """
    height, width = shape if size is None else (size[0], size[1])
    x0, y0, x1, y1 = (box[:, i, None] for i in range(4))
    rows = _hats(_inverse(y0, y1, shape[0], height, x.shape[1], exact), x.shape[1])
    columns = _hats(_inverse(x0, x1, shape[1], width, x.shape[2], exact), x.shape[2])
    rows *= (jnp.arange(shape[0]) < height)[None, :, None]
    columns *= (jnp.arange(shape[1]) < width)[None, :, None]
    return _sample(x, rows, columns)


def _inverse(
    low: Array, high: Array, count: int, length: Array | int, side: int, exact: bool
) -> Array:
    """Where in the window each of `count` pixels along a side of `length` samples: `[N, count]`."""
    last = jnp.maximum(length - 1, 1)
    centred = 2.0 * jnp.arange(count)[None] / last - 1
    stretched = (last if exact else length) * centred + last
    return ((stretched - low - high) / (high - low) + 1) * (side - 1) / 2


def _hats(positions: Array, count: int) -> Array:
    """Bilinear weights `[N, P, count]` of the pixels 0..count-1 at `positions` `[N, P]`."""
    distance = jnp.abs(positions[..., None] - jnp.arange(count)[None, None])
    return jnp.maximum(1 - distance, 0).astype(jnp.float32)


def _sample(x: Array, rows: Array, columns: Array) -> Array:
    """`[N, H, W, C]` by `[N, P, H]` and `[N, Q, W]` to `[N, P, Q, C]`, as two matrix products."""
    n, height, width, channels = x.shape
    p, q = rows.shape[1], columns.shape[1]
    y = _product(rows, x.reshape(n, height, width * channels))
    y = y.reshape(n, p, width, channels).swapaxes(1, 2).reshape(n, width, p * channels)
    return _product(columns, y).reshape(n, q, p, channels).swapaxes(1, 2)


def _product(matrix: Array, x: Array) -> Array:
    return jnp.matmul(matrix, x, precision=lax.Precision.HIGHEST)
