"""Adam with learning rates by group, schedules over steps, clipping, frozen parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import Array

FROZEN = "frozen"
Tree = Any
Group = Callable[[tuple[str, ...]], str]  # path of a parameter -> its learning-rate group


@dataclass(frozen=True)
class Optimiser:
    """How parameters move; `build` makes it an optax transformation.

    Attributes:
      kind: "adam", weight decay as L2 in the gradient (PyTorch's Adam, which the reproductions of
        STM and IPN used), or "adamw", decoupled.
      rates: learning rate of each group; the group "frozen" does not move and has none.
      schedule: factor on all rates over the steps of the run. "constant"; "cosine" down to 0;
        "poly", (1 - t) ** power for the share t of the run; "steps", times 0.1 at each of `drops`.
      warmup: steps in which the factor also rises linearly from 1 / warmup.
      drops: shares of the run in (0, 1) at which "steps" falls.
      power: exponent of "poly".
      clip: bound on the global norm of the gradients; None for none.
      clamp: bound on each number of the gradients (the readable IPN recipe); None for none.
      weight_decay: on arrays of two and more axes, so not on biases, norms and slopes (our choice).
      b1, b2, epsilon: of Adam.
    """

    kind: Literal["adam", "adamw"] = "adam"
    rates: Mapping[str, float] = field(default_factory=lambda: {"encoder": 1e-4, "decoder": 3e-4})
    schedule: Literal["constant", "cosine", "poly", "steps"] = "constant"
    warmup: int = 0
    drops: tuple[float, ...] = (0.8,)
    power: float = 0.9
    clip: float | None = None
    clamp: float | None = None
    weight_decay: float = 0.0
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.kind not in ("adam", "adamw"):
            raise ValueError(f"optimiser kind {self.kind!r}: expected adam or adamw")
        if self.schedule not in ("constant", "cosine", "poly", "steps"):
            legal = "constant, cosine, poly or steps"
            raise ValueError(f"optimiser schedule {self.schedule!r}: expected {legal}")
        if not all(0 < share < 1 for share in self.drops):
            raise ValueError(f"optimiser drops {self.drops}: expected shares between 0 and 1")
        if self.warmup < 0:
            raise ValueError(f"optimiser warmup {self.warmup}: expected 0 or more steps")

    def factor(self, steps: int) -> Callable[[Any], Array]:
        """Returns the schedule: number of the step from 0 on -> factor in [0, 1], float32."""
        if steps < 1:
            raise ValueError(f"steps of the run: expected 1 or more, found {steps}")

        def at(step: Any) -> Array:
            done = jnp.asarray(step, jnp.float32)
            return jnp.minimum((done + 1) / max(self.warmup, 1), 1) * self._falling(done, steps)

        return at

    def _falling(self, done: Array, steps: int) -> Array:
        share = jnp.minimum(done / steps, 1)
        if self.schedule == "cosine":
            return 0.5 * (1 + jnp.cos(jnp.pi * share))
        if self.schedule == "poly":
            return (1 - share) ** self.power
        if self.schedule == "steps":
            places = jnp.array([round(drop * steps) for drop in self.drops], jnp.float32)
            return 0.1 ** jnp.sum(done >= places)
        return jnp.ones_like(share)

    def build(self, group: Group, *, steps: int) -> optax.GradientTransformation:
        """The transformation of gradients for a run of `steps` steps.

        `group` names the group of each parameter. Its `init` raises ValueError for a parameter
        whose group has no rate.
        """
        schedule = self.factor(steps)
        moving = {
            name: optax.chain(self._direction(), optax.scale(-rate))
            for name, rate in self.rates.items()
        }

        def labels(params: Tree) -> Tree:
            return _map_paths(lambda path, _: self._checked(path, group(path)), params)

        parts = [
            optax.clip(self.clamp) if self.clamp is not None else None,
            optax.clip_by_global_norm(self.clip) if self.clip is not None else None,
            optax.multi_transform(moving | {FROZEN: optax.set_to_zero()}, labels),
            optax.scale_by_schedule(schedule),
        ]
        return optax.chain(*(part for part in parts if part is not None))

    def _direction(self) -> optax.GradientTransformation:
        adam = optax.scale_by_adam(self.b1, self.b2, self.epsilon)
        if not self.weight_decay:
            return adam
        decay = optax.add_decayed_weights(self.weight_decay, mask=_kernels)
        return optax.chain(adam, decay) if self.kind == "adamw" else optax.chain(decay, adam)

    def _checked(self, path: tuple[str, ...], name: str) -> str:
        if name != FROZEN and name not in self.rates:
            found = ", ".join(sorted(self.rates))
            raise ValueError(
                f"optimiser rates: no rate for group {name!r} of {'/'.join(path)}, found {found}"
            )
        return name


def _kernels(params: Tree) -> Tree:
    return jax.tree.map(lambda p: p.ndim > 1, params)


def freeze(params: Tree, group: Group) -> Tree:
    """Cuts the gradient of the frozen parameters, so that it is never computed."""

    def cut(path: tuple[str, ...], value: Array) -> Array:
        return jax.lax.stop_gradient(value) if group(path) == FROZEN else value

    return _map_paths(cut, params)


def _map_paths(function: Callable[[tuple[str, ...], Any], Any], params: Tree) -> Tree:
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({path: function(path, v) for path, v in flat.items()})
