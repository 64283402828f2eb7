"""DeepLabV3+ (Chen et al., 2018) as f-BRS has it, on a dilated residual network.

The layers are in experiments/papers/brs.md, section B2. Everything is enlarged with
align_corners=True. The three taps are the last features of the backbone (f-BRS-A), pooled pyramid
and skip joined (f-BRS-B), and the result of the decoder (f-BRS-C).
"""

from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.body import BodyOutput, Tapped
from ivs_jax.models.layers import HE, Conv, ConvNorm, Depthwise
from ivs_jax.models.resnet import ResNet
from ivs_jax.ops.resize import resize

RATES = (12, 24, 36)
SKIP = 32
TAPS = ("f-BRS-A", "f-BRS-B", "f-BRS-C")


@dataclass(frozen=True)
class DeepLabConfig:
    """Sizes.

    Attributes:
      depth: of the residual network: 34 (v1b), 50 or 101 (v1s, whose stem is deep).
      channels: of pyramid and decoder; half of them in the prediction head.
    """

    depth: int = 34
    channels: int = 128


class DeepLab(nn.Module):
    """A `body.Body`."""

    config: DeepLabConfig = DeepLabConfig()
    taps = TAPS

    def setup(self) -> None:
        depth, channels = self.config.depth, self.config.channels
        self.backbone = ResNet(
            depth, stages=4, deep_stem=depth != 34, dilated=True, normalise=False
        )
        self.skip = ConvNorm(SKIP, kernel=1)
        self.pyramid = _Pyramid(channels)
        self.decode = [_Separable(channels), _Separable(channels)]
        self.decode_output = Conv(channels, (1, 1), kernel_init=HE)
        self.classify = [_Separable(channels // 2), _Separable(channels // 2)]
        self.predict = Conv(1, (1, 1))

    def until(self, x: Array, tap: str) -> Tapped:
        """`x` `[N, H, W, 3]`; the features are at 1/8 of the size for f-BRS-A, else at 1/4."""
        features = self.backbone(self.backbone.embed(x))
        tapped = Tapped(features[8], (self.skip(features[4]),))
        return self.between(tapped, TAPS[0], tap)

    def between(self, tapped: Tapped, tap: str, other: str) -> Tapped:
        """From a tap to the same or a later one."""
        for step in TAPS[_position(tap) : _position(other)]:
            tapped = self._joined(tapped) if step == TAPS[0] else self._decoded(tapped)
        return tapped

    def after(self, tapped: Tapped, tap: str) -> BodyOutput:
        """The rest of the network; logits at 1/4 of the size."""
        x = self.between(tapped, tap, TAPS[-1]).x
        for unit in self.classify:
            x = unit(x)
        return BodyOutput(self.predict(x))

    def _joined(self, tapped: Tapped) -> Tapped:
        (skip,) = tapped.rest
        size = (skip.shape[1], skip.shape[2])
        pooled = resize(self.pyramid(tapped.x), size, align_corners=True)
        return Tapped(jnp.concatenate([pooled, skip], -1))

    def _decoded(self, tapped: Tapped) -> Tapped:
        x = tapped.x
        for unit in self.decode:
            x = unit(x)
        return Tapped(self.decode_output(x))


def _position(tap: str) -> int:
    if tap not in TAPS:
        raise ValueError(f"tap is {tap!r}, expected one of {', '.join(TAPS)}")
    return TAPS.index(tap)


class _Separable(nn.Module):
    """3 x 3 depthwise, then 1 x 1, neither with bias; normalisation and ReLU at the end only."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return ConvNorm(self.features, kernel=1, name="point")(Depthwise(name="depth")(x))


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling. Its dropout belongs to training only."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        unit = partial(ConvNorm, self.features)
        branches = [unit(kernel=1, name="point")(x)]
        branches += [unit(dilation=rate, name=f"rate{rate}")(x) for rate in RATES]
        pooled = unit(kernel=1, name="image")(jnp.mean(x, (1, 2), keepdims=True))
        branches.append(jnp.broadcast_to(pooled, branches[0].shape))
        return unit(kernel=1, name="project")(jnp.concatenate(branches, -1))
