"""f-BRS: the variable is one scale and one bias per channel of some features."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ivs_jax.refine import energy
from ivs_jax.refine.brs import solve
from ivs_jax.refine.config import RefineConfig
from ivs_jax.refine.lbfgs import Objective, Solution
from ivs_jax.types import Array, Clicks

ScaleBias = dict[str, jax.Array]


def refine_features(
    head: Callable[[jax.Array], jax.Array],
    features: Array,
    clicks: Clicks,
    *,
    config: RefineConfig,
    start: ScaleBias | None = None,
    idle: jax.Array | bool = False,
) -> Solution:
    """Rescales feature channels until the mask agrees with every click.

    Pure; call it inside a jitted function that takes weights, features and clicks as arguments.

    Args:
      head: `features -> logits [H, W]`, or `[B, H, W]` of copies; the rest of the network.
      features: `[..., C]` at the tap of the mode.
      clicks: all clicks `[N]`, or `[B, N]` of copies, in the pixel grid of the logits.
      config: of an f-BRS mode.
      start: `x` of the previous click's solution (warm start); None starts at 0.
      idle: bool [], only evaluate the start.

    Returns:
      `Solution` whose `x` is `{"scale": [C], "bias": [C]}`, float32, meaning
      `features * (1 + scale) + bias`, and whose `aux` is the logits.

    Raises:
      ValueError: if the mode of `config` does not optimise features, or `start` has other shapes.
    """
    if config.variable != "features":
        raise ValueError(f"refine_features needs an f-BRS mode, found {config.mode!r}")
    channels = (features.shape[-1],)
    if start is None:
        start = {"scale": jnp.zeros(channels), "bias": jnp.zeros(channels)}
    found = {name: leaf.shape for name, leaf in start.items()}
    if found != {"scale": channels, "bias": channels}:
        raise ValueError(f"start must hold scale and bias of shape {channels}, found {found}")

    objective = feature_objective(head, features, clicks, config=config)
    return solve(objective, start, clicks, config=config, idle=idle)


def feature_objective(
    head: Callable[[jax.Array], jax.Array],
    features: Array,
    clicks: Clicks,
    *,
    config: RefineConfig,
) -> Objective:
    """What `refine_features` minimises: `x -> (energy, logits)`; arguments as there."""

    def objective(x: ScaleBias) -> tuple[jax.Array, jax.Array]:
        logits = head(rescale(features, x))
        penalty = energy.scale_bias_penalty(
            x["scale"], x["bias"], weight=config.weight, bias_factor=config.bias_factor
        )
        return energy.fbrs_energy(logits, clicks, penalty, radius=config.radius), logits

    return objective


def rescale(features: Array, x: ScaleBias) -> jax.Array:
    """`features * (1 + scale) + bias` along the last axis, in the dtype of the features."""
    features = jnp.asarray(features)
    wide = (1,) * (features.ndim - 1) + (-1,)
    scaled = features * (1 + x["scale"].reshape(wide)) + x["bias"].reshape(wide)
    return scaled.astype(features.dtype)
