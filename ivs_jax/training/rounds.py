"""Rounds of interaction over clips, for a batch: where propagation goes and how it is merged in.

All frames of a clip are visited in every round, so that shapes do not depend on the frame that is
annotated; what a round does not reach (experiments/papers/ipn.md, section 7) has the weight 0.
"""

import jax.numpy as jnp
from jax import Array


def visits(annotated: Array, length: int) -> tuple[Array, Array]:
    """Frames in the order in which masks reach them, and the neighbours they come from.

    From `annotated` `[N]` on to the last frame, then back from it to the first. Both are
    `[length - 1, N]` int32.
    """
    step, start = jnp.arange(length - 1)[:, None], annotated[None]
    ahead = length - 1 - start  # how many frames lie behind the annotated one
    forward = step < ahead
    frame = jnp.where(forward, start + 1 + step, start - 1 - (step - ahead))
    return frame, jnp.where(forward, frame - 1, frame + 1)


def merging(annotated: Array, earlier: Array) -> tuple[Array, Array]:
    """Weights of a round's masks against those before, and which frames the round reaches.

    `annotated` `[N]` are the frames annotated in this round, `earlier` `[N, T]` bool those of all
    rounds before. Propagation ends at the nearest earlier one on each side; from the annotated
    frame to there the weight falls linearly from 1 to 0, on a side without any it is 1. Returns
    `[N, T]` float32 and `[N, T]` bool.
    """
    length = earlier.shape[1]
    frame, start = jnp.arange(length)[None], annotated[:, None]
    right = jnp.min(jnp.where(earlier & (frame > start), frame, length), 1, keepdims=True)
    left = jnp.max(jnp.where(earlier & (frame < start), frame, -1), 1, keepdims=True)
    falling = jnp.where(
        frame > start,
        jnp.where(right < length, 1 - (frame - start) / jnp.maximum(right - start, 1), 1.0),
        jnp.where(left >= 0, 1 - (start - frame) / jnp.maximum(start - left, 1), 1.0),
    )
    return jnp.maximum(falling, 0), (left <= frame) & (frame <= right)
