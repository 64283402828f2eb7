"""Losses of the click and propagation networks."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.ops.resize import resize


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


def scales_cross_entropy(
    logits: Sequence[Array], truth: Array, *, weights: Sequence[float] = (1, 1, 1, 1, 1)
) -> Array:
    """Cross-entropy of IPN at all scales of its decoder (spec section 6): `[N]`.

    `logits` are `[N, s, s, 2]` each, background first, `truth` `[N, S, S]` in [0, 1] is the mask in
    the window (`ops.warp.warp`); it is resized and then rounded at every scale. The official demo
    has the weights 1, 0, 0, 0, 0, the training port five ones.
    """
    if len(logits) != len(weights):
        raise ValueError(f"weights must be one per scale, {len(logits)}, found {len(weights)}")
    target, loss = jax.lax.stop_gradient(truth)[..., None], jnp.zeros(len(truth))
    for weight, scores in zip(weights, logits, strict=True):
        size = (scores.shape[1], scores.shape[2])
        right = jnp.round(resize(target, size, align_corners=True))
        log_p = jax.nn.log_softmax(scores)
        chosen = jnp.where(right > 0, log_p[..., 1:], log_p[..., :1])
        loss -= weight * jnp.mean(chosen, (1, 2, 3))
    return loss


def scribble_weights(positive: Array, negative: Array) -> Array:
    """Weights `[N]` of I-net's losses: samples without any scribble count 0, the rest 1 on average.

    `positive` and `negative` are scribble maps `[N, H, W]` (IPN, official code; spec section 6).
    """
    there = (jnp.sum(positive + negative, (1, 2)) > 0).astype(jnp.float32)
    return there / (jnp.mean(there) + 0.001)
