"""Losses of the click and propagation networks."""

import jax
import jax.numpy as jnp
from jax import Array


def normalised_focal(logits: Array, truth: Array, *, gamma: float = 2.0) -> Array:
    """Normalised focal loss of f-BRS (spec B7): focal weights rescaled to mean 1 per image.

    `logits` `[N, H, W]`, `truth` `[N, H, W]` 1 / 0 / -1 (ignored). The rescaling is no path for
    gradients. Returns the mean over the batch, a scalar.
    """
    valid = (truth >= 0).astype(jnp.float32)
    target = (truth == 1).astype(jnp.float32)
    log_p = jax.nn.log_sigmoid(jnp.where(target > 0, logits, -logits))
    focal = valid * (1 - jnp.exp(log_p)) ** gamma
    count = jnp.maximum(jnp.sum(valid, (1, 2)), 1)
    factor = jax.lax.stop_gradient(count / (jnp.sum(focal, (1, 2)) + 1e-6))
    return jnp.mean(-jnp.sum(focal * log_p, (1, 2)) * factor / count)


def soft_iou(probability: Array, truth: Array) -> Array:
    """1 - soft IoU, mean over the batch. `probability`, `truth` (1 / 0 / -1) are `[N, H, W]`."""
    valid = truth >= 0
    target = (truth == 1).astype(jnp.float32)
    p = jnp.where(valid, probability, 0)
    both = jnp.sum(p * target, (1, 2))
    either = jnp.sum(jnp.where(valid, jnp.maximum(p, target), 0), (1, 2))
    return jnp.mean(1 - (both + 1) / (either + 1))


def label_cross_entropy(logits: Array, labels: Array) -> Array:
    """Cross-entropy after soft aggregation (STM). `logits` `[N, H, W, K + 1]`, void = 255.

    `labels` `[N, H, W]` holds 0..K. Returns the mean over the counted pixels.
    """
    valid = labels != 255
    index = jnp.where(valid, labels, 0).astype(jnp.int32)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), index[..., None], -1)[..., 0]
    return -jnp.sum(jnp.where(valid, log_p, 0)) / jnp.maximum(jnp.sum(valid), 1)
