"""Small networks with random weights: the real code, quick to compile."""

from functools import partial
from typing import Any

import jax
import pytest

from ivs_jax.models import Model, brs, initial_variables, stm
from ivs_jax.models.brs import ClickConfig, Stage
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.models.stm import STMConfig

BACKBONE = partial(MobileNetV1, depth=6)  # ends at stride 16 with 512 channels

CLICK = ClickConfig(
    backbone="tiny",
    stages=(Stage(16, 8, 8, units=1, squeeze=4), Stage(8, 8, 8, units=1, squeeze=4)),
    fine=4,
    input_size=64,
)
STM = STMConfig(backbone="tiny", key=4, value=8, decoder=(8, 6, 4), capacity=6, working_side=64)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the backbone "tiny"."""
    monkeypatch.setitem(brs.BACKBONES, "tiny", BACKBONE)
    monkeypatch.setitem(stm.BACKBONES, "tiny", BACKBONE)


def randomised(variables: Any, key: jax.Array) -> Any:
    """Adds noise everywhere, so that layers that start at zero do something too."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(key, len(leaves))
    noisy = [x + 0.03 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def click_network(key: jax.Array) -> tuple[Any, Any]:
    """A tiny click network and its variables."""
    model = Model("click", CLICK)
    variables = randomised(initial_variables(model, key), key)
    variables["params"]["encoder"]["stem_extra"]["kernel"] *= 20  # clicks must count
    return model.build(), variables


def stm_network(key: jax.Array) -> tuple[Any, Any]:
    """A tiny space-time memory network and its variables."""
    model = Model("propagation", STM)
    return model.build(), randomised(initial_variables(model, key), key)
