"""Small networks with random weights: the real code, quick to compile."""

from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from ivs_jax.models import Model, brs, resnet, stm, variable_shapes
from ivs_jax.models.brs import ClickConfig, ClickNet, Stage
from ivs_jax.models.deeplab import DeepLabConfig
from ivs_jax.models.densenet import DenseNet
from ivs_jax.models.fbrs import FBRS, FBRSConfig
from ivs_jax.models.hrnet import HRNetConfig
from ivs_jax.models.layers import HE, Conv, FrozenBatchNorm
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.models.ritm import RITM, RITMConfig
from ivs_jax.models.stm import STMConfig


class Trunk(nn.Module):
    """`embed(image)` then `__call__(embedded, extra)`, like `models.mobilenet.MobileNetV1`."""

    strides: tuple[int, ...] = (4, 8, 16)
    extra: bool = False

    def setup(self) -> None:
        self.stem = _strided(6)
        if self.extra:
            self.stem_extra = _strided(6)
        self.stem_norm = FrozenBatchNorm()
        self.layers = [_strided(8) for _ in self.strides]

    def embed(self, image: jax.Array) -> jax.Array:
        return self.stem(2 * image - 1)

    def __call__(self, embedded: jax.Array, extra: Any = None) -> dict[int, jax.Array]:
        if extra is not None:
            embedded = embedded + self.stem_extra(extra)
        x, features = self.stem_norm(embedded), {}
        for stride, layer in zip(self.strides, self.layers, strict=True):
            x = features[stride] = layer(nn.softplus(x))
        return features


def _strided(features: int) -> Any:
    pads = ((1, 1), (1, 1))
    return Conv(features, (3, 3), (2, 2), pads, use_bias=False, kernel_init=HE)


BACKBONE = partial(MobileNetV1, depth=6)  # of STM: ends at stride 16 with 512 channels

CLICK = ClickConfig(
    backbone="tiny",
    stages=(Stage(16, 8, 8, units=1, squeeze=4), Stage(8, 8, 8, units=1, squeeze=4)),
    fine=4,
    input_size=64,
)
STM = STMConfig(backbone="tiny", key=4, value=8, decoder=(8, 6, 4), capacity=6, working_side=64)
STM_TWO_ENCODERS = replace(STM, shared_key=False, top_k=None, previous=False)  # as published


DENSE = ClickConfig(  # as the published BRS network
    backbone="tiny_dense",
    stages=(Stage(8, 6, 4, units=1, squeeze=4), Stage(4, 4, 4, units=1, squeeze=4)),
    fine=4,
    fine_stride=1,
    previous=False,
    maps="brs",
    input_size=64,
    published=True,
    tiles=True,
)


def register_dense(patch: pytest.MonkeyPatch) -> None:
    """Registers the backbone "tiny_dense"."""
    backbone = partial(DenseNet, layers=(1, 2), growth=4, width=8)
    patch.setitem(brs.BACKBONES, "tiny_dense", backbone)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the backbones "tiny" and "tiny_dense"."""
    register_dense(monkeypatch)
    monkeypatch.setitem(brs.BACKBONES, "tiny", Trunk)
    monkeypatch.setitem(stm.BACKBONES, "tiny", BACKBONE)


def filled(shapes: Any, *, seed: int = 0) -> Any:
    """Sensible random values for `jax.eval_shape(net.init, ...)`; compiles nothing."""
    rng = np.random.default_rng(seed)

    def value(path: Any, leaf: Any) -> np.ndarray:
        name, noise = path[-1].key, rng.standard_normal(leaf.shape, np.float32)
        if name in ("variance", "scale"):
            return 1 + 0.1 * np.abs(noise)
        if name == "kernel":
            return noise * np.float32(np.sqrt(2 / np.prod(leaf.shape[:-1])))
        return 0.25 + 0.1 * noise if name == "slope" else 0.1 * noise

    return jax.tree_util.tree_map_with_path(value, shapes)


def filled_from(model: Model, key: jax.Array) -> Any:
    """Random variables of a network; another key gives others."""
    return filled(variable_shapes(model), seed=int(jax.random.key_data(key)[-1]))


def click_network(key: jax.Array) -> tuple[Any, Any]:
    """A tiny click network and its variables."""
    model = Model("click", CLICK)
    variables = filled_from(model, key)
    variables["params"]["encoder"]["stem_extra"]["kernel"] *= 20  # clicks must count
    return model.build(), variables


def dense_network() -> tuple[Any, Any]:
    """A tiny network built as the published BRS, and its variables."""
    net = ClickNet(DENSE)
    return net, filled(jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(16)))


def stm_network(key: jax.Array, config: STMConfig = STM) -> tuple[Any, Any]:
    """A tiny space-time memory network and its variables."""
    model = Model("propagation", config)
    return model.build(), filled_from(model, key)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the residual network "34" one of four blocks, of which the last three are narrow."""
    monkeypatch.setitem(resnet.DEPTHS, 34, (1, 1, 1, 1))
    monkeypatch.setattr(resnet, "WIDTHS", (64, 8, 8, 8))


def fbrs_network() -> tuple[Any, Any]:
    """A narrow f-BRS network and its variables; under the fixture `narrow`."""
    net = FBRS(FBRSConfig(DeepLabConfig(34, channels=4), input_size=32))
    return net, filled(jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32)))


def ritm_network() -> tuple[Any, Any]:
    """A narrow RITM network and its variables; its third stage has two modules."""
    body = HRNetConfig(width=2, ocr=3, blocks=1, modules=(1, 2, 1))
    net = RITM(RITMConfig(body, input_size=32))
    return net, filled(jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32)))
