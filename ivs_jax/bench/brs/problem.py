"""The refinement of one click, taken apart: what is computed once, the objective, the solve.

`session.answer` runs the same in one program; apart, the pieces can be timed one by one, and
other solvers can be given the same objective. A test holds the two against each other.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.models.resnet import IMAGENET_STD
from ivs_jax.refine.brs import input_objective, solve
from ivs_jax.refine.config import RefineConfig
from ivs_jax.refine.fbrs import feature_objective
from ivs_jax.refine.lbfgs import Objective, Solution
from ivs_jax.session.answer import click_copies, copies, first_clicks
from ivs_jax.types import Clicks


class Once(NamedTuple):
    """What a click computes once. `B` is 2 for a network that also sees the mirror image, else 1.

    Attributes:
      window: `[S, S, 3]` float32 in [0, 1].
      features: of the network, for `B` images; in f-BRS those at the tap.
      maps: click maps `[S, S, 2]`.
      previous: `[B, S, S]`.
      targets: clicks `[B, N]` that the answer must obey.
    """

    window: Array
    features: Any
    maps: Array
    previous: Array
    targets: Clicks


@dataclass(frozen=True)
class Problem:
    """A mode on a network; every method is pure, to be put under `jit` and `vmap`.

    Attributes:
      net: a click network with the methods of `models.brs.ClickNet`.
      config: of the mode.
    """

    net: Any
    config: RefineConfig

    def once(self, variables: Any, window: Array, previous: Array, clicks: Clicks) -> Once:
        """What does not depend on the variable; arguments as in `session.answer`."""
        size, settings = (window.shape[0], window.shape[1]), self.net.config
        shown = first_clicks(clicks, self.config.network_clicks)
        maps = encode_clicks(shown, size, settings.maps, settings.radius)
        before = copies(previous, flip=settings.flip)
        features = self._encoded(variables, window)
        if self.config.variable == "features":
            given = (variables, features, copies(maps, flip=settings.flip), before)
            features = self.net.apply(*given, tap=self.config.mode, method="features_at")
        targets = click_copies(clicks, size[1], flip=settings.flip)
        return Once(window, features, maps, before, targets)

    def start(self, once: Once) -> Any:
        """The variable at the start: all 0."""
        if self.config.variable == "features":
            channels = once.features.x.shape[-1]
            return {"scale": jnp.zeros(channels), "bias": jnp.zeros(channels)}
        return jnp.zeros_like(once.maps if self.config.variable == "maps" else once.window)

    def objective(self, variables: Any, once: Once) -> Objective:
        """`x -> (energy, logits [B, S, S])`."""
        if self.config.variable == "features":

            def head(x: Array) -> Array:
                given = (variables, once.features._replace(x=x))
                return self.net.apply(*given, tap=self.config.mode, method="head").logits

            return feature_objective(head, once.features.x, once.targets, config=self.config)
        predict = self._of_maps if self.config.variable == "maps" else self._of_colours
        return input_objective(
            lambda delta: predict(variables, once, delta), once.targets, config=self.config
        )

    def solve(self, variables: Any, once: Once) -> Solution:
        """The solve as a click gets it, with the stop rules of the mode."""
        objective = self.objective(variables, once)
        return solve(objective, self.start(once), once.targets, config=self.config)

    def _of_maps(self, variables: Any, once: Once, delta: Array) -> Array:
        maps = copies(once.maps + delta, flip=self.net.config.flip)
        given = (variables, once.features, maps, once.previous)
        return self.net.apply(*given, method="predict").logits

    def _of_colours(self, variables: Any, once: Once, delta: Array) -> Array:
        std = jnp.array(IMAGENET_STD)[None, None]  # the change is one of the normalised image
        features = self._encoded(variables, once.window + delta * std)
        maps = copies(once.maps, flip=self.net.config.flip)
        return self.net.apply(variables, features, maps, once.previous, method="predict").logits

    def _encoded(self, variables: Any, window: Array) -> Any:
        return self.net.apply(variables, copies(window, flip=self.net.config.flip), method="encode")
