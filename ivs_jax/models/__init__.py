"""Networks and their registry: a name gives a kind, a config and a module."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ivs_jax.models.brs import ClickConfig, ClickNet
from ivs_jax.models.stm import STM, STMConfig


@dataclass(frozen=True)
class Model:
    """A registered network.

    Attributes:
      kind: "click" (clicks -> mask of one frame) or "propagation" (masks -> masks of a video).
      config: its sizes.
    """

    kind: str
    config: ClickConfig | STMConfig

    def build(self) -> nn.Module:
        """The module; parameters come from `weights.store` or `initial_variables`."""
        if isinstance(self.config, ClickConfig):
            return ClickNet(self.config)
        return STM(self.config)


MODELS: dict[str, Model] = {
    "click-small": Model("click", ClickConfig()),
    "stm-small": Model("propagation", STMConfig()),
}


def model_named(name: str, *, kind: str | None = None) -> Model:
    """Looks a network up; ValueError lists the names if it is unknown or of another kind."""
    legal = [n for n, m in MODELS.items() if kind in (None, m.kind)]
    if name not in legal:
        wanted = f"{kind} model" if kind else "model"
        raise ValueError(f"unknown {wanted} {name!r}, expected one of {', '.join(legal)}")
    return MODELS[name]


def initial_variables(model: Model, key: jax.Array, *, side: int = 64) -> Any:
    """Random variables `{"params", "batch_stats"}` of a network, float32."""
    image, module = jnp.zeros((1, side, side, 3)), model.build()
    if model.kind == "click":
        maps, previous = jnp.zeros((1, side, side, 2)), jnp.zeros((1, side, side))
        return jax.jit(module.init)(key, image, maps, previous)
    return jax.jit(module.init)(key, image, jnp.zeros((1, 1, side, side)))
