"""Training state and its update."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

Tree = Any


class TrainState(NamedTuple):
    """Everything that a step changes.

    Attributes:
      params: trainable parameters, float32.
      stats: frozen batch-norm statistics.
      optimiser: state of the optimiser.
      step: int32 scalar, steps done.
    """

    params: Tree
    stats: Tree
    optimiser: Tree
    step: Array


def create_state(variables: Tree, optimiser: optax.GradientTransformation) -> TrainState:
    """State before the first step from `{"params": .., "batch_stats": ..}`."""
    params = variables["params"]
    return TrainState(params, variables["batch_stats"], optimiser.init(params), jnp.int32(0))


def apply_gradients(
    state: TrainState, gradients: Tree, optimiser: optax.GradientTransformation, factor: Array
) -> TrainState:
    """One optimiser step; `factor` in [0, 1] is the schedule, multiplied into the update."""
    updates, moments = optimiser.update(gradients, state.optimiser, state.params)
    updates = jax.tree.map(lambda u: factor * u, updates)
    return state._replace(
        params=optax.apply_updates(state.params, updates),
        optimiser=moments,
        step=state.step + 1,
    )
