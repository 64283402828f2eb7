"""The training step: a pure function that knows neither the network nor the devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from ivs_jax.models.layers import BLOCK
from ivs_jax.training.optimiser import freeze
from ivs_jax.training.state import TrainState, Tree, apply_gradients
from ivs_jax.training.task import Task

Metrics = dict[str, Array]
Step = Callable[[TrainState, Any, Array], tuple[TrainState, Metrics]]
Loss = Callable[[Tree, Tree, Any, Array], tuple[Array, Metrics]]


def make_loss(task: Task, *, remat: bool = False, dtype: Any = jnp.float32) -> Loss:
    """Builds `loss(params, stats, batch, key) -> (loss, metrics)`, what a step differentiates.

    `params` are float32, of which the network gets copies in `dtype`; frozen ones have no gradient.
    Arguments as in `make_step`.
    """

    def loss_of(params: Tree, stats: Tree, batch: Any, key: Array) -> tuple[Array, Metrics]:
        cast = jax.tree.map(lambda p: p.astype(dtype), freeze(params, task.group))
        loss, metrics = task.loss(cast, stats, batch, key=key, dtype=dtype)
        metrics = {"loss": loss} | metrics
        return loss, {name: jnp.asarray(v, jnp.float32) for name, v in metrics.items()}

    if not remat:
        return loss_of
    return jax.checkpoint(loss_of, policy=jax.checkpoint_policies.save_only_these_names(BLOCK))


def make_step(
    task: Task,
    optimiser: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    remat: bool = False,
    dtype: Any = jnp.float32,
    ema: float | None = None,
    axis_name: str | None = None,
) -> Step:
    """Builds `step(state, batch, key) -> (state, metrics)` of a task.

    Args:
      optimiser: see `training.optimiser.Optimiser.build`.
      accumulate: parts of the batch whose gradients are computed one after the other and averaged:
        the memory of one part, the result of the whole. Must divide the batch.
      remat: keep only the outputs of the networks' blocks for the gradient and compute the rest
        again: a fifth of what STM's ResNet-50 keeps, for up to one more forward pass. For
        accelerators: on CPU, XLA takes back what it saves.
      dtype: that the network computes in. Parameters, their average, the optimiser, statistics
        and losses are float32 in any case.
      ema: decay of the moving average of the parameters, which `state` must then have.
      axis_name: of the devices over which gradients and metrics are averaged.

    `batch` is a pytree of arrays `[N, ...]`; `key` is this step's, equal on all devices. `metrics`
    are float32 scalars: "loss", what the task's loss adds and "gradient_norm" before clipping.
    Where the loss or a gradient is not finite the state comes back as it was, its `step` too.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate: expected 1 or more, found {accumulate}")
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema: expected a decay between 0 and 1, found {ema}")
    gradient = jax.grad(make_loss(task, remat=remat, dtype=dtype), has_aux=True)

    def step(state: TrainState, batch: Any, key: Array) -> tuple[TrainState, Metrics]:
        if (state.ema is None) != (ema is None):
            raise ValueError("ema: the state must hold an average exactly where a decay is given")

        def of_part(part: Any) -> tuple[Tree, Metrics]:
            return gradient(state.params, state.stats, part, key)

        gradients, metrics = _accumulated(of_part, batch, accumulate)
        if axis_name is not None:
            gradients, metrics = lax.pmean((gradients, metrics), axis_name)
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradients)))
        metrics["gradient_norm"] = norm
        stepped = apply_gradients(state, gradients, optimiser, ema=ema)
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"])
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), stepped, state), metrics

    return step


def _accumulated(
    of_part: Callable[[Any], tuple[Tree, Metrics]], batch: Any, parts: int
) -> tuple[Tree, Metrics]:
    """Mean of `of_part(part)` over `parts` equal parts of the batch."""
    if parts == 1:
        return of_part(batch)
    size = jax.tree.leaves(batch)[0].shape[0]
    if size % parts:
        raise ValueError(f"accumulate: {parts} does not divide the batch of {size} on a device")
    split = jax.tree.map(lambda x: x.reshape(parts, size // parts, *x.shape[1:]), batch)
    zeros = jax.tree.map(
        lambda s: jnp.zeros(s.shape, s.dtype),
        jax.eval_shape(of_part, jax.tree.map(lambda x: x[0], split)),
    )

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, of_part(part)), None

    total, _ = lax.scan(add, zeros, split)
    return jax.tree.map(lambda x: x / parts, total)
