"""Residual networks (He et al., 2016): torchvision's, and the dilated v1b / v1s of GluonCV.

STM and IPN use torchvision's ResNet-50, f-BRS the dilated ones inside DeepLabV3+. The RGB part of
the first convolution is a method of its own, `embed`, so that it is computed once per image; masks
and scribbles enter through a further kernel whose result is added before the first normalisation.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, FrozenBatchNorm, block_output
from ivs_jax.ops.pool import max_pool3

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WIDTHS = (64, 128, 256, 512)
DEPTHS = {34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def normalised(image: Array) -> Array:
    """RGB `[..., 3]` in [0, 1] minus ImageNet's mean, over its standard deviation."""
    wide = (1,) * (image.ndim - 1) + (3,)
    mean, std = (jnp.array(v, image.dtype).reshape(wide) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


class ResNet(nn.Module):
    """`embed(image)` then `__call__(embedded, extra)`.

    Attributes:
      depth: 34 (basic blocks), 50 or 101 (bottlenecks; their stride is in the 3 x 3 convolution).
      stages: how many of the four stages are built: 3 end at stride 16, 4 at stride 32.
      extra: whether further input channels are given.
      extra_bias: whether their kernel has a bias (IPN).
      deep_stem: three 3 x 3 convolutions for the 7 x 7 one (v1s).
      dilated: stages 3 and 4 stay at stride 8, with dilations 2 and 4.
      normalise: whether `embed` normalises RGB in [0, 1] first.
    """

    depth: int = 50
    stages: int = 3
    extra: bool = False
    extra_bias: bool = False
    deep_stem: bool = False
    dilated: bool = False
    normalise: bool = True

    def setup(self) -> None:
        if self.deep_stem:
            self.stem = _conv3(64, 2)
            self.stem_inner = [_StemUnit(64), _StemUnit(128)]
        else:
            self.stem = _conv7()
        if self.extra:
            self.stem_extra = _conv7(use_bias=self.extra_bias)
        self.stem_norm = FrozenBatchNorm()
        block = BasicBlock if self.depth == 34 else Bottleneck
        blocks = []
        for stage in range(self.stages):
            stride = 1 if stage == 0 or (self.dilated and stage >= 2) else 2
            dilation = 2 ** (stage - 1) if self.dilated and stage >= 2 else 1
            for i in range(DEPTHS[self.depth][stage]):
                first = i == 0
                blocks.append(
                    block(
                        WIDTHS[stage],
                        stride=stride if first else 1,
                        dilation=dilation,
                        first_dilation=max(1, dilation // 2) if first else dilation,
                        project=first and (stage > 0 or self.depth != 34),
                        name=f"stage{stage + 1}_{i}",
                    )
                )
        self.blocks = blocks

    def embed(self, image: Array) -> Array:
        """RGB `[N, H, W, 3]` -> RGB part of the first convolution `[N, ceil(H/2), ceil(W/2), 64]`.

        `image` is in [0, 1], or already normalised where `normalise` is off.
        """
        return self.stem(normalised(image) if self.normalise else image)

    def __call__(self, embedded: Array, extra: Array | None = None) -> dict[int, Array]:
        """Returns the last features of each stride: `{4: .., 8: .., 16: .., 32: ..}`.

        `extra` `[N, H, W, E]` are the further input channels, at the size of the image.
        """
        if extra is not None:
            embedded = embedded + self.stem_extra(extra)
        if self.deep_stem:
            for unit in self.stem_inner:
                embedded = unit(embedded)
        x = max_pool3(nn.relu(self.stem_norm(embedded)))
        stride, features = 4, {}
        for block in self.blocks:
            stride *= block.stride
            x = block(x)
            features[stride] = x
        return features


def _conv7(*, use_bias: bool = False) -> Any:
    return Conv(64, (7, 7), (2, 2), ((3, 3), (3, 3)), use_bias=use_bias, kernel_init=HE)


def _conv3(features: int, stride: int = 1, dilation: int = 1, name: str | None = None) -> Any:
    pad = (dilation, dilation)
    return Conv(
        features,
        (3, 3),
        (stride, stride),
        (pad, pad),
        kernel_dilation=(dilation, dilation),
        use_bias=False,
        kernel_init=HE,
        name=name,
    )


def _conv1(features: int, name: str, stride: int = 1) -> Any:
    return Conv(features, (1, 1), (stride, stride), use_bias=False, kernel_init=HE, name=name)


class _StemUnit(nn.Module):
    """Normalisation and ReLU of the convolution before, then the next one of a deep stem."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return _conv3(self.features, name="conv")(nn.relu(FrozenBatchNorm(name="norm")(x)))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions; the stride and `first_dilation` are of the first."""

    width: int
    stride: int = 1
    dilation: int = 1
    first_dilation: int = 1
    project: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = _conv3(self.width, self.stride, self.first_dilation, "conv1")(x)
        y = nn.relu(FrozenBatchNorm(name="norm1")(y))
        y = FrozenBatchNorm(name="norm2")(_conv3(self.width, 1, self.dilation, "conv2")(y))
        return block_output(nn.relu(y + _shortcut(self, x, y.shape[-1])))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with stride and `first_dilation`), 1 x 1 to four times `width`."""

    width: int
    stride: int = 1
    dilation: int = 1
    first_dilation: int = 1
    project: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = nn.relu(FrozenBatchNorm(name="norm1")(_conv1(self.width, "conv1")(x)))
        y = _conv3(self.width, self.stride, self.first_dilation, "conv2")(y)
        y = nn.relu(FrozenBatchNorm(name="norm2")(y))
        y = FrozenBatchNorm(name="norm3")(_conv1(4 * self.width, "conv3")(y))
        return block_output(nn.relu(y + _shortcut(self, x, y.shape[-1])))


def _shortcut(block: Any, x: Array, features: int) -> Array:
    """The input itself, or its 1 x 1 projection in the first block of a stage."""
    if not block.project:
        return x
    y = _conv1(features, "downsample", block.stride)(x)
    return FrozenBatchNorm(name="downsample_norm")(y)
