"""DenseNet encoder (Huang et al., 2017) with taps at strides 4, 8, 16 and 32, as BRS has it.

The taps are the raw concatenations: what follows a dense block normalises them itself, and there is
no normalisation after the last block (experiments/papers/brs.md, section A1). The image part of the
first convolution is a method of its own, `embed`; interaction maps enter through a further kernel
whose result is added.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, FrozenBatchNorm, block_output, over_channels
from ivs_jax.ops.pool import max_pool3

DENSENET_121 = (6, 12, 24, 16)
MEAN_RGB = (123.68, 116.779, 103.939)  # of values in 0..255
FACTOR = 0.017


def caffe_image(image: Array) -> Array:
    """RGB `[..., 3]` in [0, 1] -> BGR of 0..255 minus its mean, times 0.017."""
    return FACTOR * (255 * image - over_channels(jnp.array(MEAN_RGB), image))[..., ::-1]


class DenseNet(nn.Module):
    """`embed(image)` then `__call__(embedded, extra)`.

    Attributes:
      layers: number of layers of each dense block.
      growth: channels that a layer adds; its 1 x 1 convolution has four times as many.
      width: channels of the first convolution.
      extra: whether further input channels are given.
    """

    layers: Sequence[int] = DENSENET_121
    growth: int = 32
    width: int = 64
    extra: bool = False

    def setup(self) -> None:
        def first() -> Any:
            pads = ((3, 3), (3, 3))
            return Conv(self.width, (7, 7), (2, 2), pads, use_bias=False, kernel_init=HE)

        self.stem = first()
        if self.extra:
            self.stem_extra = first()
        self.stem_norm = FrozenBatchNorm()
        dense, transitions, width = [], [], self.width
        for block, count in enumerate(self.layers, 1):
            dense.append([_Layer(self.growth, name=f"block{block}_{i}") for i in range(count)])
            width = width + count * self.growth
            if block < len(self.layers):
                width //= 2
                transitions.append(_Transition(width, name=f"transition{block}"))
        self.dense, self.transitions = dense, transitions

    def preprocess(self, image: Array) -> Array:
        """What the network sees of RGB `[N, H, W, 3]` in [0, 1]."""
        return caffe_image(image)

    def embed(self, image: Array) -> Array:
        """`[N, H, W, 3]` in [0, 1] -> image part of the first layer `[N, H/2, W/2, width]`."""
        return self.stem(self.preprocess(image))

    def __call__(self, embedded: Array, extra: Array | None = None) -> dict[int, Array]:
        """Returns the concatenated features of each stride: `{4: .., 8: .., 16: .., 32: ..}`.

        `extra` `[N, H, W, E]` are the further input channels, at the size of the image. Sides are
        multiples of the coarsest stride.
        """
        if extra is not None:
            embedded = embedded + self.stem_extra(extra)
        x, stride, features = max_pool3(nn.relu(self.stem_norm(embedded))), 4, {}
        for block, layers in enumerate(self.dense):
            if block > 0:
                x, stride = self.transitions[block - 1](x), 2 * stride
            for layer in layers:
                x = jnp.concatenate([x, layer(x)], -1)
            features[stride] = x
        return features


class _Layer(nn.Module):
    """What one layer of a dense block adds: two times normalisation, ReLU, convolution."""

    growth: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = nn.relu(FrozenBatchNorm(name="norm1")(x))
        x = Conv(4 * self.growth, (1, 1), use_bias=False, kernel_init=HE, name="conv1")(x)
        x = nn.relu(FrozenBatchNorm(name="norm2")(x))
        x = Conv(self.growth, (3, 3), use_bias=False, kernel_init=HE, name="conv2")(x)
        return block_output(x)


class _Transition(nn.Module):
    """Normalisation, ReLU, 1 x 1 convolution and the mean of 2 x 2 pixels."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = nn.relu(FrozenBatchNorm(name="norm")(x))
        x = Conv(self.features, (1, 1), use_bias=False, kernel_init=HE, name="conv")(x)
        n, h, w, c = x.shape
        return jnp.mean(x.reshape(n, h // 2, 2, w // 2, 2, c), (2, 4))
