"""The compiled step of a recipe, and a run of two of them on made-up samples."""

from collections.abc import Sequence

import jax
import numpy as np

from ivs_jax.data.augment import augment
from ivs_jax.training.parallel import replicated_step
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.state import create_state
from ivs_jax.training.step import Step, make_step


def program(recipe: Recipe, devices: Sequence[jax.Device]) -> Step:
    """The compiled step of a recipe: changes of light, gradient, optimiser."""

    def make(axis_name: str | None) -> Step:
        step = make_step(
            recipe.task,
            recipe.transformation(),
            accumulate=recipe.accumulate,
            remat=recipe.remat,
            dtype=recipe.dtype,
            ema=recipe.ema,
            axis_name=axis_name,
        )
        colour = recipe.colour
        if colour is None:
            return step
        return lambda state, batch, key: step(state, augment(batch, colour), key)

    return replicated_step(make, devices)


def dry_run(recipe: Recipe, *, steps: int = 2) -> list[dict[str, float]]:
    """Metrics of `steps` steps from random weights on synthetic samples of the right shapes.

    The batch is the smallest that works: a sample for each device of this host and part. It needs
    no data, and shows that the recipe's settings fit together.
    """
    recipe.at(recipe.steps)  # raises where a stage does not fit
    recipe = recipe.at(0)
    batch = jax.local_device_count() * recipe.accumulate
    key, rng = jax.random.key(recipe.seed), np.random.default_rng(recipe.seed)
    sample = recipe.task.example(batch, rng)
    variables = recipe.task.measured(recipe.task.initial(key), sample)
    state = create_state(variables, recipe.transformation(), ema=recipe.ema is not None)
    step, found = program(recipe, jax.devices()), []
    for number in range(steps):
        state, metrics = step(state, sample, jax.random.fold_in(key, number))
        found.append({name: float(value) for name, value in metrics.items()})
    return found
