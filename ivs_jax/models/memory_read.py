"""The read of a space-time memory: attention of a frame's positions over those of other frames."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

Similarity = Literal["dot", "l2"]
MOST_SCORES = 2**24  # scores held at once for one object: 64 MiB in float32


def read_memory(
    query: Array,
    keys: Array,
    values: Array,
    valid: Array,
    *,
    similarity: Similarity = "dot",
    scaled: bool = True,
    top_k: int | None = None,
) -> Array:
    """Space-time memory read of one object (experiments/papers/stm.md, section 1).

    Each position of the query attends by softmax to every position of the valid memory frames. The
    queries are taken in as many parts as keep the scores within `MOST_SCORES`, so that memory is
    bounded at any size.

    Args:
      query: `[h, w, k]` keys of the frame to segment.
      keys: `[M, h, w, k]` keys of the memory.
      values: `[M, h, w, v]` what is read there.
      valid: `[M]` bool, which frames of the memory count.
      similarity: "dot", the product of two keys (STM), or "l2", their negative squared distance
        (Cheng et al., STCN, NeurIPS 2021).
      scaled: whether it is divided by sqrt(k).
      top_k: only the so many most similar positions count (Cheng et al., MiVOS, CVPR 2021).

    Returns the mean of the values under these weights, `[h, w, v]`; 0 where no frame is valid.
    Scores are float32 (float64 for float64 keys) whatever the dtype of the keys.
    """
    height, width, channels = query.shape
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    k = keys.reshape(-1, channels)
    mask = jnp.repeat(valid, keys.shape[1] * keys.shape[2])[None]
    attend = partial(
        _attend,
        keys=k.astype(dtype),
        values=values.reshape(-1, values.shape[-1]),
        mask=mask,
        factor=1 / channels**0.5 if scaled else 1.0,
        similarity=similarity,
        top_k=top_k,
    )
    q = query.reshape(-1, channels).astype(dtype)
    parts = -(-len(q) * len(k) // MOST_SCORES)
    if parts == 1:
        return attend(q).reshape(height, width, -1)
    rows = -(-len(q) // parts)
    padded = jnp.pad(q, ((0, parts * rows - len(q)), (0, 0))).reshape(parts, rows, channels)
    return (
        jax.lax.map(attend, padded).reshape(parts * rows, -1)[: len(q)].reshape(height, width, -1)
    )


def _attend(
    query: Array,
    *,
    keys: Array,
    values: Array,
    mask: Array,
    factor: float,
    similarity: Similarity,
    top_k: int | None,
) -> Array:
    """The read of query positions `[Q, k]` from all positions of the memory: `[Q, v]`."""
    scores = query @ keys.T
    if similarity == "l2":  # without the query's own square, which the softmax cancels
        scores = 2 * scores - jnp.sum(keys**2, -1)[None]
    scores = jnp.where(mask, scores * factor, -jnp.inf)
    if top_k is None or top_k >= len(keys):
        return _softmax(scores).astype(values.dtype) @ values
    best, places = jax.lax.top_k(scores, top_k)
    return jnp.einsum("qk,qkv->qv", _softmax(best).astype(values.dtype), values[places])


def _softmax(scores: Array) -> Array:
    """Softmax over the last axis; 0 where all scores are -inf, with gradients that are finite."""
    counted = jnp.isfinite(scores)
    highest = jnp.max(scores, -1, keepdims=True)
    highest = jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0))
    # Masked before the exponential too: its gradient at infinity would be NaN.
    weights = jnp.where(counted, jnp.exp(jnp.where(counted, scores - highest, 0)), 0)
    return weights / jnp.maximum(jnp.sum(weights, -1, keepdims=True), 1e-30)
