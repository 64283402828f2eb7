"""A task of each system on a tiny network: a plain trunk, the rest is the real code."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models import MODELS, Model, brs, ipn, resnet, stm, variable_shapes
from ivs_jax.models.deeplab import DeepLabConfig
from ivs_jax.models.fbrs import FBRSConfig
from ivs_jax.models.hrnet import HRNetConfig
from ivs_jax.models.ipn import IPNConfig
from ivs_jax.models.ritm import RITMConfig
from ivs_jax.models.stm import STMConfig
from ivs_jax.training.click import ClickTask
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.stm import STMTask
from tests.tiny import DENSE, Trunk, filled, register_dense

STAGES = tuple(brs.Stage(stride, 6, 6, units=1, squeeze=4) for stride in (16, 8))
HRNET = HRNetConfig(width=2, ocr=3, blocks=1, modules=(1, 1, 1))
STM = STMConfig(backbone="tiny", key=4, value=8, decoder=(8, 6, 4))
NETWORKS = {
    "click": Model("click", brs.ClickConfig(backbone="tiny", stages=STAGES, fine=4)),
    "brs": Model("click", DENSE),
    "deeplab": Model("click", FBRSConfig(DeepLabConfig(34, channels=4))),
    "hrnet": Model("click", FBRSConfig(HRNET)),
    "ritm": Model("click", RITMConfig(HRNET)),
    "stm": Model("propagation", STM),
    "stm-published": Model(
        "propagation", replace(STM, shared_key=False, top_k=None, previous=False)
    ),
    "ipn": Model(
        "both", IPNConfig("tiny", 64, narrowed=8, fused=6, decoder=6, projection=1, rounded=False)
    ),
}
TASKS: dict[str, Any] = {
    **{name: partial(ClickTask, name, side=32, capacity=8) for name in list(NETWORKS)[:5]},
    "stm": partial(STMTask, "stm", side=32, overlap=0.5, own=True),
    "stm-published": partial(STMTask, "stm-published", side=32, overlap=0.5),
    "ipn": partial(IPNTask, "ipn", side=48, length=3),
}


@dataclass
class Tiny:
    """A task, and what is compiled of it once for all tests of a file."""

    task: Any
    variables: Any

    @cached_property
    def loss(self) -> Any:
        """`loss(params, batch, key)`, compiled, in float32."""

        def loss(params: Any, batch: Any, key: jax.Array) -> Any:
            stats = self.variables["batch_stats"]
            return self.task.loss(params, stats, batch, key=key, dtype=jnp.float32)

        return jax.jit(loss)

    def batch(self, count: int = 2, seed: int = 0) -> Any:
        return self.task.example(count, np.random.default_rng(seed))


def make_tiny(name: str, **settings: Any) -> Tiny:
    """The task of that name with random variables that let everything count."""
    return Tiny(TASKS[name](**settings), filled(variable_shapes(NETWORKS[name])))


@pytest.fixture(scope="module")
def registered() -> Iterator[None]:
    """Registers the networks; imported by the files that use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(brs.BACKBONES, "tiny", Trunk)
        patch.setitem(stm.BACKBONES, "tiny", Trunk)
        trunk = partial(Trunk, strides=(4, 8, 16, 32), extra=True)
        patch.setitem(ipn.BACKBONES, "tiny", trunk)
        patch.setitem(resnet.DEPTHS, 34, (1, 1, 1, 1))
        patch.setattr(resnet, "WIDTHS", (64, 8, 8, 8))
        register_dense(patch)
        for name, model in NETWORKS.items():
            patch.setitem(MODELS, name, model)
        yield
