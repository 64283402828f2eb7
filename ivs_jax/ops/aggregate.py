"""Soft aggregation: from independent object probabilities to one distribution per pixel."""

import jax
import jax.numpy as jnp
from jax import Array

EPSILON = 1e-7


def aggregate(probabilities: Array, *, epsilon: float = EPSILON) -> Array:
    """Soft aggregation of STM (supplement; official code) over the last axis.

    `probabilities` `[..., K]` float32 in [0, 1] of each object alone; returns logits
    `[..., K + 1]`, background first, whose softmax is each odds over the sum of all odds. An
    object slot of probability 0 keeps the weight of `epsilon`'s odds, as in the original.
    """
    background = jnp.prod(1 - probabilities, -1, keepdims=True)
    p = jnp.concatenate([background, probabilities], -1).clip(epsilon, 1 - epsilon)
    return jnp.log(p) - jnp.log1p(-p)


def aggregate_logits(logits: Array) -> Array:
    """The same from object logits `[..., K]`, in log space and without the clamp.

    A saturated probability that is clamped passes no gradient, so a network that starts badly
    would never recover; logits keep their gradient however large they are. Equals
    `aggregate(sigmoid(logits))` wherever that does not clamp.
    """
    # log of the background's probability; its own odds are bounded like the clamp does.
    log_background = jnp.minimum(-jnp.sum(jax.nn.softplus(logits), -1, keepdims=True), -EPSILON)
    background = log_background - jnp.log(-jnp.expm1(log_background))
    return jnp.concatenate([background, logits], -1)
