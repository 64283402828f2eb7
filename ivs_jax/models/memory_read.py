"""The read of a space-time memory: attention of a frame's positions over those of other frames."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def read_memory(
    query: Array,
    keys: Array,
    values: Array,
    valid: Array,
    *,
    scaled: bool = True,
    locality: float | None = None,
    fresh: Array | None = None,
) -> Array:
    """Space-time memory read of one object (STM section 3.2).

    Each position of `query` `[h, w, k]` attends to every position of the valid frames of `keys`
    `[M, h, w, k]` by softmax(q . k / sqrt(k)), without the root where `scaled` is off (paper);
    returns the mean of `values` `[M, h, w, v]` under these weights, `[h, w, v]`. `valid` is `[M]`
    bool; with none valid the read is 0. `locality` multiplies the weights by a Gaussian of that
    standard deviation, in positions, of the distance between the two; `fresh` `[M]` are logarithms
    of factors for the weights of each frame.
    """
    size, width = query.shape[:2], query.shape[-1]
    q, k = query.reshape(-1, width), keys.reshape(-1, width)
    scores = (q @ k.T).astype(jnp.promote_types(q.dtype, jnp.float32))  # also of bfloat16
    if scaled:
        scores = scores / jnp.sqrt(jnp.array(width, scores.dtype))
    if locality is not None:
        prior = _squared_distances(*size) / (-2 * locality**2)
        scores = scores + jnp.tile(prior, (1, len(valid))).astype(scores.dtype)
    each = keys.shape[1] * keys.shape[2]
    if fresh is not None:
        scores = scores + jnp.repeat(fresh, each).astype(scores.dtype)[None]
    mask = jnp.repeat(valid, each)[None]
    weights = jnp.where(mask, jnp.exp(scores - _masked_max(scores, mask)), 0)
    weights = weights / jnp.maximum(jnp.sum(weights, -1, keepdims=True), 1e-30)
    return (weights.astype(values.dtype) @ values.reshape(-1, values.shape[-1])).reshape(*size, -1)


def _squared_distances(height: int, width: int) -> Array:
    """Between all positions of a grid, in row-major order, `[height * width, height * width]`."""
    y, x = np.divmod(np.arange(height * width, dtype=np.float32), width)
    return jnp.asarray((y[:, None] - y[None]) ** 2 + (x[:, None] - x[None]) ** 2)


def _masked_max(scores: Array, mask: Array) -> Array:
    highest = jnp.max(jnp.where(mask, scores, -jnp.inf), -1, keepdims=True)
    return jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0))
