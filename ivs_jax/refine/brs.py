"""BRS, RGB-BRS and DistMap-BRS: the variable is a change of the network's input."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ivs_jax.refine import energy
from ivs_jax.refine.config import RefineConfig
from ivs_jax.refine.lbfgs import Objective, Solution, StopRule, minimise
from ivs_jax.types import Array, Clicks


def refine_input(
    predict: Callable[[jax.Array], jax.Array],
    inputs: Array,
    clicks: Clicks,
    *,
    config: RefineConfig,
    start: Array | None = None,
    idle: jax.Array | bool = False,
) -> Solution:
    """Changes an input of the network until the mask agrees with every click.

    Pure; call it inside a jitted function that takes weights, image, maps and clicks as arguments.

    Args:
      predict: `delta -> logits [H, W]`, or `[B, H, W]` of copies. The caller adds `delta` where it
        belongs (and may reuse what does not depend on it): to the interaction maps, or to the
        normalised RGB; in the grid of each copy.
      inputs: what `delta` will be added to, e.g. the interaction maps `[H, W, 2]`. Only its shape
        is used.
      clicks: all clicks `[N]`, or `[B, N]` of copies, in the pixel grid of the logits.
      config: of an input mode.
      start: first `delta`, e.g. `x` of the previous click's solution if the crop is the same; None
        starts at 0.
      idle: bool [], only evaluate the start.

    Returns:
      `Solution` whose `x` is `delta` (float32, like `inputs`) and whose `aux` is the logits.

    Raises:
      ValueError: if the mode of `config` optimises features, or `start` has another shape.
    """
    if config.variable == "features":
        raise ValueError(f"refine_input needs an input mode, found {config.mode!r}")
    objective = input_objective(predict, clicks, config=config)
    if start is None:
        start = jnp.zeros(inputs.shape, jnp.float32)
    if start.shape != inputs.shape:
        raise ValueError(f"start must be of shape {inputs.shape}, found {start.shape}")
    return solve(objective, start, clicks, config=config, idle=idle)


def input_objective(
    predict: Callable[[jax.Array], jax.Array], clicks: Clicks, *, config: RefineConfig
) -> Objective:
    """What `refine_input` minimises: `delta -> (energy, logits)`; arguments as there."""

    def objective(delta: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = predict(delta)
        # Every copy has its own change of the input, so that each pays for it.
        weight = config.weight * (logits.shape[0] if logits.ndim == 3 else 1)
        if config.mean:
            penalty = weight * jnp.sum(delta**2)
            return energy.fbrs_energy(logits, clicks, penalty, radius=config.radius), logits
        return energy.brs_energy(logits, clicks, delta, weight=weight), logits

    return objective


def solve(
    objective: Objective,
    x0: Any,
    clicks: Clicks,
    *,
    config: RefineConfig,
    idle: jax.Array | bool = False,
) -> Solution:
    """Runs the solver on an objective `x -> (energy, logits)` with the stop rules of `config`.

    With `idle` it ends after the first evaluation.
    """
    solution = minimise(
        objective,
        x0,
        max_evaluations=config.max_evaluations,
        max_iterations=config.max_iterations,
        memory_size=config.memory_size,
        gradient_tolerance=config.gradient_tolerance,
        stop=_stop_rule(clicks, config, idle),
        keep=config.keep,
        trials=config.trials,
    )
    return solution._replace(satisfied=solution.satisfied & ~jnp.asarray(idle))


def _stop_rule(clicks: Clicks, config: RefineConfig, idle: jax.Array | bool) -> StopRule:
    def stop(logits: jax.Array, previous: jax.Array) -> tuple[jax.Array, jax.Array]:
        agrees = energy.satisfied(
            logits, clicks, threshold=config.threshold, radius=config.radius
        ).all()
        agrees |= idle
        if not config.stop_unchanged:
            return agrees, jnp.bool_(False)
        return agrees, energy.mask_unchanged(
            logits, previous, threshold=config.threshold, min_iou=config.min_iou
        )

    return stop
