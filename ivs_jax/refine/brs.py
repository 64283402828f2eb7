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
) -> Solution:
    """Changes an input of the network until the mask agrees with every click.

    Pure; call it inside a jitted function that takes weights, image, maps and clicks as arguments.

    Args:
      predict: `delta -> logits [H, W]`. The caller adds `delta` where it belongs (and may reuse
        what does not depend on it): to the interaction maps, or to the normalised RGB.
      inputs: what `delta` will be added to, e.g. the interaction maps `[H, W, 2]`. Only its shape
        is used; `delta` starts at 0.
      clicks: all clicks, in the pixel grid of the logits.
      config: of an input mode.

    Returns:
      `Solution` whose `x` is `delta` (float32, like `inputs`) and whose `aux` is logits `[H, W]`.

    Raises:
      ValueError: if the mode of `config` optimises features.
    """
    if config.variable == "features":
        raise ValueError(f"refine_input needs an input mode, found {config.mode!r}")

    def objective(delta: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = predict(delta)
        if config.mean:
            penalty = config.weight * jnp.sum(delta**2)
            return energy.fbrs_energy(logits, clicks, penalty, radius=config.radius), logits
        return energy.brs_energy(logits, clicks, delta, weight=config.weight), logits

    return solve(objective, jnp.zeros(inputs.shape, jnp.float32), clicks, config=config)


def solve(objective: Objective, x0: Any, clicks: Clicks, *, config: RefineConfig) -> Solution:
    """Runs the solver on an objective `x -> (energy, logits)` with the stop rules of `config`."""
    return minimise(
        objective,
        x0,
        max_evaluations=config.max_evaluations,
        max_iterations=config.max_iterations,
        memory_size=config.memory_size,
        gradient_tolerance=config.gradient_tolerance,
        stop=_stop_rule(clicks, config),
    )


def _stop_rule(clicks: Clicks, config: RefineConfig) -> StopRule:
    def stop(logits: jax.Array, previous: jax.Array) -> tuple[jax.Array, jax.Array]:
        agrees = energy.satisfied(
            logits, clicks, threshold=config.threshold, radius=config.radius
        ).all()
        if not config.stop_unchanged:
            return agrees, jnp.bool_(False)
        return agrees, energy.mask_unchanged(
            logits, previous, threshold=config.threshold, min_iou=config.min_iou
        )

    return stop
