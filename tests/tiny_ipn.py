"""A small interaction and propagation network: a plain trunk, the rest is the real code."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from ivs_jax.models import Model, initial_variables, ipn
from ivs_jax.models.ipn import IPNConfig
from ivs_jax.models.layers import HE, Conv

CONFIG = IPNConfig(backbone="tiny", window=64, fused=10, decoder=6)


class Trunk(nn.Module):
    """`embed(image)` then `__call__(embedded, extra)`, like `models.resnet.ResNet`."""

    def setup(self) -> None:
        self.stem, self.stem_extra = (_strided(6, bias) for bias in (False, True))
        self.layers = [_strided(width) for width in (6, 8, 8, 10)]

    def embed(self, image: jax.Array) -> jax.Array:
        return self.stem(2 * image - 1)

    def __call__(self, embedded: jax.Array, extra: jax.Array) -> dict[int, jax.Array]:
        x, features = embedded + self.stem_extra(extra), {}
        for stride, layer in zip((4, 8, 16, 32), self.layers, strict=True):
            x = features[stride] = layer(nn.softplus(x))
        return features


def _strided(features: int, bias: bool = True) -> Any:
    pads = ((1, 1), (1, 1))
    return Conv(features, (3, 3), (2, 2), pads, use_bias=bias, kernel_init=HE)


@pytest.fixture(scope="session")
def ipn_network() -> Any:
    """The network and its variables; what it says depends on everything it is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ipn.BACKBONES, "tiny", Trunk)
        model, rng = Model("both", CONFIG), np.random.default_rng(0)
        shapes = jax.eval_shape(lambda key: initial_variables(model, key), jax.random.key(0))

        def filled(path: Any, leaf: Any) -> np.ndarray:
            # Kernels keep the scale of what passes; masks are to count, answers not to saturate.
            fans = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 400
            gain = {"stem_extra": 3, "pred5": 0.3, "pred4": 0.3, "pred3": 0.3, "pred2": 0.3}
            scale = gain.get(path[-2].key, 1) * np.sqrt(2 / fans)
            return scale * rng.standard_normal(leaf.shape, np.float32)

        yield model.build(), jax.tree_util.tree_map_with_path(filled, shapes)
