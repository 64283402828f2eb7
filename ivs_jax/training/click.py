"""Training step of the click network."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ivs_jax.data.click_samples import ClickBatch
from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.interaction.sampling import error_clicks
from ivs_jax.models.brs import ClickNet
from ivs_jax.training.losses import normalised_focal, soft_iou
from ivs_jax.training.optimiser import freeze
from ivs_jax.training.state import TrainState, apply_gradients


def correction(net: ClickNet) -> Any:
    """Builds `correct(state, batch, previous, key) -> (batch, previous)`.

    The network answers, a click goes to its largest error, the answer becomes the previous mask
    (iterative training of RITM). `previous` is `[N, S, S]` float32, 0 before the first answer.
    """

    def correct(
        state: TrainState, batch: ClickBatch, previous: Array, key: Array
    ) -> tuple[ClickBatch, Array]:
        image = batch.image.astype(jnp.float32) / 255
        variables = {"params": state.params, "batch_stats": state.stats}
        answer: Any = net.apply(variables, image, _maps(net, batch), previous)
        probability = jax.nn.sigmoid(answer.logits)
        clicks = error_clicks(batch.clicks, probability, jnp.asarray(batch.truth), key)
        return batch._replace(clicks=clicks), probability

    return jax.jit(correct)


def click_step(net: ClickNet, optimiser: optax.GradientTransformation) -> Any:
    """Builds `step(state, batch, previous, factor) -> (state, metrics)`."""

    def step(
        state: TrainState, batch: ClickBatch, previous: Array, factor: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        inputs = batch.image.astype(jnp.float32) / 255, _maps(net, batch), previous
        gradient = jax.value_and_grad(partial(_loss, net), has_aux=True)
        (loss, iou), gradients = gradient(state.params, state.stats, inputs, batch.truth)
        return apply_gradients(state, gradients, optimiser, factor), {"loss": loss, "iou": iou}

    return jax.jit(step, donate_argnums=0)


def _maps(net: ClickNet, batch: ClickBatch) -> Array:
    size, config = (batch.truth.shape[1], batch.truth.shape[2]), net.config
    return jax.vmap(lambda c: encode_clicks(c, size, config.maps, config.radius))(batch.clicks)


def _loss(
    net: ClickNet, params: Any, stats: Any, inputs: tuple[Array, Array, Array], truth: Array
) -> tuple[Array, Array]:
    out: Any = net.apply({"params": freeze(params), "batch_stats": stats}, *inputs)
    fine = normalised_focal(out.logits, truth)
    coarse = normalised_focal(out.coarse, truth)
    overlap = soft_iou(jax.nn.sigmoid(out.logits), truth)
    hard = (out.logits > 0) & (truth >= 0)
    union = jnp.sum(hard | (truth == 1), (1, 2))
    iou = jnp.mean(jnp.sum(hard & (truth == 1), (1, 2)) / jnp.maximum(union, 1))
    return fine + 0.4 * coarse + overlap, iou
