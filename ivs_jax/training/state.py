"""Training state and its update."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

Tree = Any


class TrainState(NamedTuple):
    """Everything that a step changes; nothing in it knows of devices.

    Attributes:
      params: parameters, float32 whatever the network computes in.
      stats: batch-norm statistics, float32; no step changes them.
      optimiser: state of the optimiser.
      ema: moving average of `params`, of the same shapes; None if none is kept.
      step: int32 scalar, steps done.
    """

    params: Tree
    stats: Tree
    optimiser: Tree
    ema: Tree | None
    step: Array


def create_state(
    variables: Tree, optimiser: optax.GradientTransformation, *, ema: bool = False
) -> TrainState:
    """State before the first step from `{"params": .., "batch_stats": ..}`.

    Its arrays are copies: a step gives away the buffers of the state that it is called with.
    """

    @jax.jit  # as one program: small ones for every shape would take longer to compile
    def create(params: Tree, stats: Tree) -> TrainState:
        params, stats, average = (
            jax.tree.map(lambda x: jnp.array(x, jnp.float32), tree)
            for tree in (params, stats, params if ema else None)
        )
        return TrainState(params, stats, optimiser.init(params), average, jnp.int32(0))

    state: TrainState = create(variables["params"], variables.get("batch_stats", {}))
    return state


def apply_gradients(
    state: TrainState,
    gradients: Tree,
    optimiser: optax.GradientTransformation,
    *,
    ema: float | None = None,
) -> TrainState:
    """One optimiser step, and one of the moving average where `ema`, its decay, is given.

    The decay starts low, (1 + n) / (10 + n) after n steps, so that the average soon forgets the
    initial parameters.
    """
    updates, moments = optimiser.update(gradients, state.optimiser, state.params)
    params = optax.apply_updates(state.params, updates)
    average = state.ema
    if ema is not None:
        n = state.step.astype(jnp.float32)
        decay = jnp.minimum(ema, (1 + n) / (10 + n))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)
    return TrainState(params, state.stats, moments, average, state.step + 1)
