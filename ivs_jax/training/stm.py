"""Training step of the space-time memory network (Oh et al. 2019, section 3.4)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ivs_jax.data.pairs import ClipBatch
from ivs_jax.models.stm import STM, labels_logits
from ivs_jax.training.losses import label_cross_entropy, soft_iou
from ivs_jax.training.optimiser import freeze
from ivs_jax.training.state import TrainState, apply_gradients


def stm_step(net: STM, optimiser: optax.GradientTransformation, *, objects: int) -> Any:
    """Builds `step(state, batch, factor) -> (state, metrics)` for clips of `objects` objects.

    Frame 1 is memorised with its true mask, frame 2 segmented and memorised with its own soft
    answer, frame 3 segmented from both; the loss is on frames 2 and 3.
    """

    def step(
        state: TrainState, batch: ClipBatch, factor: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        gradient = jax.value_and_grad(partial(_loss, net, objects=objects), has_aux=True)
        (loss, iou), gradients = gradient(state.params, state.stats, batch)
        return apply_gradients(state, gradients, optimiser, factor), {"loss": loss, "iou": iou}

    return jax.jit(step, donate_argnums=0)


def _loss(
    net: STM, params: Any, stats: Any, batch: ClipBatch, *, objects: int
) -> tuple[Array, Array]:
    variables = {"params": freeze(params), "batch_stats": stats}
    apply = partial(net.apply, variables)
    frames = batch.frames.astype(jnp.float32) / 255
    ids = jnp.arange(1, objects + 1)[None, None, :, None, None]
    truth = (batch.labels[:, :, None] == ids).astype(jnp.float32)
    first: Any = apply(frames[:, 0], truth[:, 0], method="memorise")
    keys, values = first[0][:, :, None], first[1][:, :, None]
    loss, overlaps = jnp.float32(0), []
    for t in (1, 2):
        query = apply(frames[:, t], method="query")
        valid = jnp.ones((*truth.shape[0:1], objects, keys.shape[2]), bool)
        alone: Any = apply(query, keys, values, valid, method="segment")
        logits = labels_logits(alone)
        soft = jnp.moveaxis(jax.nn.softmax(logits)[..., 1:], -1, 1)
        loss += label_cross_entropy(logits, jnp.asarray(batch.labels[:, t]))
        flat = (-1, *soft.shape[2:])
        target = jnp.where(batch.labels[:, t, None] == 255, -1, truth[:, t]).reshape(flat)
        loss += 0.5 * soft_iou(soft.reshape(flat), target)
        overlaps.append(_hard_iou(soft.reshape(flat) > 0.5, target == 1))
        if t == 1:
            second: Any = apply(frames[:, 1], soft, method="memorise")
            keys = jnp.concatenate([keys, second[0][:, :, None]], 2)
            values = jnp.concatenate([values, second[1][:, :, None]], 2)
    return loss, jnp.mean(jnp.stack(overlaps))


def _hard_iou(predicted: Array, truth: Array) -> Array:
    union = jnp.sum(predicted | truth, (1, 2))
    both = jnp.sum(predicted & truth, (1, 2))
    return jnp.mean(jnp.where(union > 0, both / jnp.maximum(union, 1), 1.0))
