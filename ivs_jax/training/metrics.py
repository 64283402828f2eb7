"""What a training step reports besides its loss."""

import jax.numpy as jnp
from jax import Array


def hard_iou(predicted: Array, truth: Array) -> Array:
    """Jaccard index of masks `[..., H, W]`, 1 where both are empty; float32 `[...]`.

    `predicted` is bool; `truth` is 1 / 0 / -1, where -1 does not count, or bool.
    """
    own = truth == 1
    predicted = predicted & (truth >= 0)
    union = jnp.sum(predicted | own, (-2, -1))
    both = jnp.sum(predicted & own, (-2, -1))
    return jnp.where(union > 0, both / jnp.maximum(union, 1), 1.0)
