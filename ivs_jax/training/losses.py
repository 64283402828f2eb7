"""Losses of the click and propagation networks.

All return one value for each sample, `[N]` float32, which knows the pixels of that sample alone: so
the mean over a batch is the mean over its equal parts, on however many devices they are. Logits of
any dtype are computed with in float32.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.ops.resize import resize

VOID = 255


def binary_cross_entropy(logits: Array, truth: Array) -> Array:
    """Cross-entropy of one object, of BRS's coarse and fine output.

    See experiments/papers/brs.md, section A6. `logits` `[N, H, W]`, `truth` `[N, H, W]` 1 / 0 / -1
    (ignored).
    """
    valid = (truth >= 0).astype(jnp.float32)
    return -_mean(valid * _log_right(logits, truth), valid)


def normalised_focal(logits: Array, truth: Array, *, gamma: float = 2.0) -> Array:
    """Normalised focal loss of f-BRS: focal weights rescaled to mean 1 per image.

    See experiments/papers/brs.md, section B7. Shapes as in `binary_cross_entropy`. The rescaling is
    no path for gradients. The published alpha, 0.5 for object and background, would only halve the
    loss and is left out.
    """
    valid = (truth >= 0).astype(jnp.float32)
    log_right = _log_right(logits, truth)
    focal = valid * (1 - jnp.exp(log_right)) ** gamma
    count = jnp.maximum(jnp.sum(valid, (1, 2)), 1)
    factor = jax.lax.stop_gradient(count / (jnp.sum(focal, (1, 2)) + 1e-6))
    return -jnp.sum(focal * log_right, (1, 2)) * factor / count


def soft_iou(probability: Array, truth: Array) -> Array:
    """1 - soft IoU. `probability` in [0, 1] and `truth` (1 / 0 / -1) are `[N, H, W]`."""
    valid = truth >= 0
    target = (truth == 1).astype(jnp.float32)
    p = jnp.where(valid, probability.astype(jnp.float32), 0)
    both = jnp.sum(p * target, (1, 2))
    either = jnp.sum(jnp.where(valid, jnp.maximum(p, target), 0), (1, 2))
    return 1 - (both + 1) / (either + 1)


def label_cross_entropy(logits: Array, labels: Array) -> Array:
    """Cross-entropy after soft aggregation (STM; experiments/papers/stm.md, section 3).

    `logits` `[N, H, W, K + 1]` of `models.stm.labels_logits`, `labels` `[N, H, W]` 0..K or 255
    (ignored).
    """
    valid = (labels != VOID).astype(jnp.float32)
    return _mean(_label_losses(logits, labels), valid)


def bootstrapped_cross_entropy(logits: Array, labels: Array, share: float | Array) -> Array:
    """`label_cross_entropy` of the hardest `share` in (0, 1] of each sample's counted pixels.

    The reproductions of STM let `share` fall from 1 to 0.15 (experiments/papers/stm.md, section 4);
    it may be traced. A sample keeps one pixel at least.
    """
    count = jnp.sum(labels != VOID, (1, 2))
    keep = jnp.ceil(share * count.astype(jnp.float32)).astype(jnp.int32)
    losses = _label_losses(logits, labels)
    # Void pixels have a loss of 0, the least there is, and come last.
    hardest = -jnp.sort(-losses.reshape(len(losses), -1))
    kept = jnp.arange(hardest.shape[1])[None] < keep[:, None]
    return jnp.sum(jnp.where(kept, hardest, 0), 1) / jnp.maximum(keep, 1)


def scales_cross_entropy(
    logits: Sequence[Array],
    truth: Array,
    *,
    void: Array | None = None,
    weights: Sequence[float] = (1, 1, 1, 1, 1),
) -> Array:
    """Cross-entropy of IPN at all scales of its decoder (experiments/papers/ipn.md, section 6).

    `logits` are `[N, s, s, 2]` each, background first, `truth` `[N, S, S]` in [0, 1] is the mask in
    the window (`ops.warp.warp`); it is resized and then rounded at every scale. The official demo
    has the weights 1, 0, 0, 0, 0, the training port five ones. `void`, of the same shape and
    resized alike, says what does not count; neither of the two knows void pixels.
    """
    if len(logits) != len(weights):
        raise ValueError(f"weights must be one per scale, {len(logits)}, found {len(weights)}")
    target, loss = jax.lax.stop_gradient(truth)[..., None], jnp.zeros(len(truth))
    for weight, scores in zip(weights, logits, strict=True):
        size = (scores.shape[1], scores.shape[2])
        right = jnp.round(resize(target, size, align_corners=True))
        log_p = jax.nn.log_softmax(scores.astype(jnp.float32))
        chosen = jnp.where(right > 0, log_p[..., 1:], log_p[..., :1])[..., 0]
        valid = jnp.ones(chosen.shape)
        if void is not None:
            valid = 1 - jnp.round(resize(void[..., None], size, align_corners=True)[..., 0])
        loss -= weight * _mean(chosen * valid, valid)
    return loss


def scribble_mask(positive: Array, negative: Array) -> Array:
    """Weights of I-net's losses: 0 for a sample without any scribble, else 1.

    See experiments/papers/ipn.md, section 6. `positive` and `negative` `[N, H, W]` are scribble
    maps. The official code also divides by the share of samples with scribbles (plus 0.001), which
    would tie a sample's loss to those that happen to be on its device; where all samples have
    scribbles the two are the same.
    """
    return (jnp.sum(positive + negative, (1, 2)) > 0).astype(jnp.float32)


def _log_right(logits: Array, truth: Array) -> Array:
    """Logarithm of the probability of what is true."""
    logits = logits.astype(jnp.float32)
    return jax.nn.log_sigmoid(jnp.where(truth == 1, logits, -logits))


def _label_losses(logits: Array, labels: Array) -> Array:
    """Cross-entropy of each pixel `[N, H, W]`, 0 where void."""
    valid = labels != VOID
    index = jnp.where(valid, labels, 0).astype(jnp.int32)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    chosen = jnp.take_along_axis(log_p, index[..., None], -1)[..., 0]
    return -jnp.where(valid, chosen, 0)


def _mean(values: Array, valid: Array) -> Array:
    return jnp.sum(values, (1, 2)) / jnp.maximum(jnp.sum(valid, (1, 2)), 1)
