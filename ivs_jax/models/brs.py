"""The network of BRS (Jang & Kim, CVPR 2019), and a small one of its structure.

The published layers are in experiments/papers/brs.md, section A1. Image and click maps enter one
encoder; a coarse decoder climbs its taps through squeeze-and-excitation skips to a coarse mask; a
fine decoder of three dilated branches sees image, maps and coarse probability again. The backbone,
widths and scales are a config; `BRS` is that of the released weights.

Two cuts serve refinement: `encode` holds what depends on the image alone, and `features_at` /
`head` split the network before the last coarse stage, where f-BRS-B puts its scales and biases.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.densenet import DenseNet
from ivs_jax.models.layers import (
    HE,
    Conv,
    ConvUnit,
    FrozenBatchNorm,
    PReLU,
    SqueezeExcite,
    Upsample2,
    transposed,
)
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.ops.resize import resize

BACKBONES = {"mobilenet_v1": MobileNetV1, "densenet121": DenseNet}


@dataclass(frozen=True)
class Stage:
    """A scale of the coarse decoder: `units` 3 x 3 convolutions `width` wide, a 1 x 1 to `out`."""

    stride: int
    width: int
    out: int
    units: int = 2
    squeeze: int = 16


@dataclass(frozen=True)
class ClickConfig:
    """Sizes of a click network.

    Attributes:
      backbone: name of the encoder.
      stages: coarse decoder from the coarsest stride to the finest.
      fine: width of the fine decoder's branches; each ends in half of it.
      fine_stride: the fine decoder works at this stride (published: 1).
      previous: whether the mask of the previous click is a further input.
      maps: encoding of clicks: "disks" (radius below), or "brs" truncated distances.
      radius: of the disks, in pixels of the network's input.
      threshold: probability from which a pixel belongs to the object.
      input_size: side of the square window that the network is given at inference.
      taps: refinement modes whose features `features_at` gives.
      flip: whether the answer is averaged with that of the mirror image.
      published: the fine decoder's logits are the answer by themselves, not a correction of the
        coarse ones; it sees the image as the encoder does; and the coarse logits are enlarged by a
        learnt kernel, not bilinearly.
      tiles: whether inference is `session.tiles`, the published one, not `session.click`.
    """

    backbone: str = "mobilenet_v1"
    stages: tuple[Stage, ...] = (
        Stage(16, 160, 96, squeeze=32),
        Stage(8, 96, 64, squeeze=16),
        Stage(4, 64, 32, squeeze=16),
        Stage(2, 32, 24, units=1, squeeze=8),
    )
    fine: int = 12
    fine_stride: int = 2
    previous: bool = True
    maps: str = "disks"
    radius: float = 5.0
    threshold: float = 0.5
    input_size: int = 256
    taps: tuple[str, ...] = ("f-BRS-B",)
    flip: bool = False
    published: bool = False
    tiles: bool = False


BRS = ClickConfig(
    backbone="densenet121",
    stages=(
        Stage(32, 512, 256, squeeze=64),
        Stage(16, 256, 128, squeeze=64),
        Stage(8, 128, 64, squeeze=32),
        Stage(4, 64, 32, squeeze=16),
    ),
    fine=32,
    fine_stride=1,
    previous=False,
    maps="brs",
    input_size=480,
    published=True,
    tiles=True,
)


class ImageFeatures(NamedTuple):
    """What depends on the image alone: `image` `[N, H, W, 3]` and its stem `[N, H/2, W/2, C]`."""

    image: Array
    embedded: Array


class TapFeatures(NamedTuple):
    """State before the last coarse stage.

    Attributes:
      x: `[N, h, w, C]` concatenated features that f-BRS-B scales.
      inputs: `[N, H, W, 5]` image and maps, for the fine decoder.
    """

    x: Array
    inputs: Array


class ClickOutput(NamedTuple):
    """Logits `[N, H, W]` of the fine decoder (the answer) and of the coarse one (for training)."""

    logits: Array
    coarse: Array


class ClickModule(nn.Module):
    """What all click networks do with their `encode`, `features_at` and `head`."""

    def predict(self, features: Any, maps: Array, previous: Array) -> ClickOutput:
        """The cheap half, per click: `head(features_at(...))`."""
        return self.head(self.features_at(features, maps, previous))

    def example_inputs(self, side: int) -> tuple[Array, ...]:
        """Zeros for `__call__` that touch every parameter."""
        size = (1, side, side)
        return jnp.zeros((*size, 3)), jnp.zeros((*size, 2)), jnp.zeros(size)

    def __call__(self, image: Array, maps: Array, previous: Array) -> ClickOutput:
        """Everything at once; shapes as in `encode` and `features_at`."""
        return self.predict(self.encode(image), maps, previous)


class ClickNet(ClickModule):
    """BRS-like click network; see the module's docstring."""

    config: ClickConfig = ClickConfig()

    def setup(self) -> None:
        config = self.config
        self.encoder = BACKBONES[config.backbone](extra=True)
        self.skips = [_Skip(s.width, s.squeeze) for s in config.stages[1:]]
        self.first_gate = SqueezeExcite(config.stages[0].squeeze)
        self.stages = [_Units(s) for s in config.stages]
        self.ups = [Upsample2(s.out) for s in config.stages[:-1]]
        self.predict_coarse = Conv(1, (1, 1))
        if config.published:
            self.enlarge = _Enlarge(config.stages[-1].stride)
        self.fine = _FineDecoder(config.fine, config.fine_stride)

    def encode(self, image: Array) -> ImageFeatures:
        """`image` `[N, H, W, 3]` float32 in [0, 1]; H and W multiples of the coarsest stride."""
        (height, width), stride = image.shape[1:3], self.config.stages[0].stride
        if height % stride or width % stride:
            raise ValueError(
                f"image: sides must be multiples of {stride}, found {height} x {width}"
            )
        seen = self.encoder.preprocess(image) if self.config.published else image
        return ImageFeatures(seen, self.encoder.embed(image))

    def features_at(
        self, features: ImageFeatures, maps: Array, previous: Array, *, tap: str = "f-BRS-B"
    ) -> TapFeatures:
        """Up to the tap. `maps` `[N, H, W, 2]`; `previous` `[N, H, W]` in [0, 1], 0 without one."""
        self._check(tap)
        parts = [maps, previous[..., None]] if self.config.previous else [maps]
        extra = jnp.concatenate(parts, -1)
        taps = self.encoder(features.embedded, extra)
        x = self.first_gate(taps[self.config.stages[0].stride])
        for i, stage in enumerate(self.config.stages[1:]):
            x = self.ups[i](self.stages[i](x))
            x = jnp.concatenate([x, self.skips[i](taps[stage.stride])], -1)
        return TapFeatures(x, jnp.concatenate([features.image, maps], -1))

    def head(self, tapped: TapFeatures, *, tap: str = "f-BRS-B") -> ClickOutput:
        """The rest of the network from the tap on."""
        self._check(tap)
        size = (tapped.inputs.shape[1], tapped.inputs.shape[2])
        small = self.predict_coarse(self.stages[-1](tapped.x))
        coarse = self.enlarge(small) if self.config.published else resize(small, size)
        probability = jax.nn.sigmoid(coarse)
        fine = self.fine(jnp.concatenate([tapped.inputs, probability], -1))
        logits = fine if self.config.published else coarse + fine
        return ClickOutput(logits[..., 0], coarse[..., 0])

    def _check(self, tap: str) -> None:
        if tap not in self.config.taps:
            legal = ", ".join(self.config.taps)
            raise ValueError(f"the network has no tap {tap!r}, expected one of {legal}")


class _Skip(nn.Module):
    width: int
    squeeze: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = SqueezeExcite(self.squeeze, name="gate")(x)
        x = Conv(self.width, (1, 1), kernel_init=HE, name="conv")(x)
        return FrozenBatchNorm(affine=False, name="norm")(PReLU(name="act")(x))


class _Units(nn.Module):
    stage: Stage

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i in range(self.stage.units):
            x = ConvUnit(self.stage.width, name=f"unit{i}")(x)
        return ConvUnit(self.stage.out, kernel=1, name="reduce")(x)


class _Enlarge(nn.Module):
    """Transposed convolution 1 -> 1 without bias, `factor` wide and of that stride."""

    factor: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        ones = nn.initializers.ones  # at first every value is repeated
        return transposed(x, self.param("kernel", ones, (1, self.factor, self.factor, 1)))


class _FineDecoder(nn.Module):
    """Logits from image, maps and coarse probability (BRS's fine decoder).

    They start at zero, so the untrained answer of a network that adds them is the coarse one.
    """

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        size, half = (x.shape[1], x.shape[2]), self.width // 2
        if self.stride > 1:
            x = resize(x, (size[0] // self.stride, size[1] // self.stride))
        branches = []
        for d in (1, 2, 3):
            y = ConvUnit(self.width, dilation=d, name=f"branch{d}_dilated")(x)
            y = ConvUnit(self.width, name=f"branch{d}_conv")(y)
            branches.append(ConvUnit(half, kernel=1, name=f"branch{d}_reduce")(y))
        x = SqueezeExcite(3, name="gate")(jnp.concatenate(branches, -1))
        x = ConvUnit(half, name="merge")(x)
        return resize(Conv(1, (1, 1), kernel_init=nn.initializers.zeros, name="predict")(x), size)
