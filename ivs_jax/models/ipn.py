"""Interaction and propagation networks (IPN; Oh et al., CVPR 2019), variant of the official code.

I-net turns scribbles on a frame into a mask and a reference feature, P-net carries the mask from
frame to frame with that reference, and an aggregation joins the references of successive rounds.
Both networks work in a window around what is marked. Backbone and widths are a config: the
published pair is the default one, `SMALL` is a pair for a laptop.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, ResBlock
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.models.resnet import ResNet
from ivs_jax.ops.resize import resize
from ivs_jax.ops.warp import Sides, roi_box, unwarp, warp

BACKBONES: dict[str, Any] = {
    "mobilenet_v1": partial(MobileNetV1, depth=12, extra=True),
    "resnet50": partial(ResNet, depth=50, stages=4, extra=True, extra_bias=True),
}
STRIDE = 32  # of the reference features in the window
MARKED = 0.49  # from here on a pixel counts for the window (official code)


@dataclass(frozen=True)
class IPNConfig:
    """Sizes of an interaction and a propagation network.

    Attributes:
      backbone: name of both encoders (weights are not shared).
      window: side in pixels at which both networks see their window; a multiple of 32.
      narrowed: channels to which a 1 x 1 convolution brings the encoders' last features, which are
        references and what the decoders start from; None: they are used as they are (published).
      fused: channels of the first block of P-net's decoder, which sees reference and frame.
      decoder: channels of both decoders.
      projection: side of the kernel by which a residual block changes the width (published: 3).
      reduction: by how much the aggregation narrows its hidden layer.
      rounded: whether a mask is rounded before it goes to the next frame (published).
      exact_unwarp: whether masks go back to the frame by the exact inverse of the way into the
        window instead of the published one, see `ops.warp.unwarp`.
      reference_strokes: whether a reference in a session is taken with the strokes of its frame
        (published) or from frame and mask alone.
      threshold: a probability above this is the object.
    """

    backbone: str = "resnet50"
    window: int = 256
    narrowed: int | None = None
    fused: int = 1024
    decoder: int = 256
    projection: int = 3
    reduction: int = 2
    rounded: bool = True
    exact_unwarp: bool = False
    reference_strokes: bool = True
    threshold: float = 0.5


SMALL = IPNConfig(
    backbone="mobilenet_v1",
    window=224,
    narrowed=256,
    fused=96,
    decoder=64,
    projection=1,
    rounded=False,
    exact_unwarp=True,
    reference_strokes=False,
)


class Segmented(NamedTuple):
    """A frame as one of the two networks segments it.

    Attributes:
      probability: `[N, H, W]` of the object, 0 outside the window.
      logits: five `[N, s, s, 2]` in the window, background first: at its full side, then at
        strides 4, 8, 16 and 32. The losses are taken on them.
      box: `[N, 4]` of the window, see `ops.warp`.
      features: `[N, h, w, C]` of stride 32 in the window, narrowed where the config says so; those
        of I-net are a reference.
    """

    probability: Array
    logits: tuple[Array, ...]
    box: Array
    features: Array


class IPN(nn.Module):
    """`interact`, `aggregate` and `propagate`; see the module's docstring.

    Frames are `[N, H, W, 3]` float32 in [0, 1], maps and masks `[N, H, W]` in [0, 1]. `size` is the
    (H, W) of frames that are zero-padded at bottom and right, and may be traced; None if all of
    the array is frame.
    """

    config: IPNConfig = IPNConfig()

    def setup(self) -> None:
        config, backbone = self.config, BACKBONES[self.config.backbone]
        if config.window % STRIDE:
            raise ValueError(f"window must be a multiple of {STRIDE}, found {config.window}")
        decoder = partial(_Decoder, projection=config.projection)
        self.interaction_encoder = backbone()
        self.interaction_decoder = decoder((config.decoder,))
        self.propagation_encoder = backbone()
        self.propagation_decoder = decoder((config.fused, config.decoder))
        if config.narrowed:
            self.interaction_narrow = Conv(config.narrowed, (1, 1), kernel_init=HE)
            self.propagation_narrow = Conv(config.narrowed, (1, 1), kernel_init=HE)
        self.aggregation = _Aggregation(config.reduction)

    def interact(
        self,
        frame: Array,
        mask: Array,
        positive: Array,
        negative: Array,
        size: Array | Sides | None = None,
    ) -> Segmented:
        """I-net: scribbles of the object and of the background on a frame.

        `mask` is what the previous round gave for the frame, 0 in the first (the official forward
        takes 0.5 everywhere where there is none, which makes the window the whole frame).
        """
        maps = jnp.stack([mask, positive, negative], -1)
        windowed, box = self._window(frame, maps, size)
        features = _encoded(self.interaction_encoder, windowed)
        last = features[STRIDE]
        if self.config.narrowed:
            last = self.interaction_narrow(last)
        logits = self.interaction_decoder(last, features)
        return self._placed(logits, box, frame, last, size)

    def aggregate(self, current: Array, previous: Array | None) -> Array:
        """Joins the reference of this round with the aggregated one of the previous round.

        Both are `[N, h, w, C]`; None in the first round. As in the official code no gradient goes
        into I-net or into earlier rounds from here.
        """
        current = jax.lax.stop_gradient(current)
        if previous is None:
            return current
        return self.aggregation(current, jax.lax.stop_gradient(previous))

    def propagate(
        self,
        reference: Array,
        frame: Array,
        previous: Array,
        neighbour: Array,
        size: Array | Sides | None = None,
    ) -> Segmented:
        """P-net: the mask of a frame from that of the neighbour it comes from.

        `reference` is what `aggregate` returned, `previous` the mask of `frame` in the previous
        round (0 in the first) and `neighbour` the mask of the neighbouring frame (the official
        code rounds it).
        """
        windowed, box = self._window(frame, jnp.stack([previous, neighbour], -1), size)
        features = _encoded(self.propagation_encoder, windowed)
        last = features[STRIDE]
        if self.config.narrowed:
            last = self.propagation_narrow(last)
        logits = self.propagation_decoder(jnp.concatenate([reference, last], -1), features)
        return self._placed(logits, box, frame, last, size)

    def _window(self, frame: Array, maps: Array, size: Array | Sides | None) -> tuple[Array, Array]:
        """Frame and maps `[N, side, side, 3 + M]` in the window around what is marked."""
        box = roi_box(jnp.any(maps >= MARKED, -1), size)
        # Normalisation comes after, so what lies outside the frame is black and not the mean.
        windowed = warp(jnp.concatenate([frame, maps], -1), box, self.config.window)
        return windowed.astype(frame.dtype), box

    def _placed(
        self,
        logits: tuple[Array, ...],
        box: Array,
        frame: Array,
        features: Array,
        size: Array | Sides | None,
    ) -> Segmented:
        height, width = frame.shape[1:3]
        inside = jax.nn.softmax(logits[0].astype(jnp.float32))[..., 1:]
        exact = self.config.exact_unwarp
        probability = unwarp(inside, box, (height, width), size, exact=exact)[..., 0]
        return Segmented(probability, logits, box, features)

    def example_inputs(self, side: int) -> tuple[Array, ...]:
        """Zeros for `__call__` that touch every parameter."""
        return jnp.zeros((1, side, side, 3)), jnp.zeros((1, side, side))

    def __call__(self, frame: Array, mask: Array) -> Array:
        """Interacts and propagates on the same frame: touches every parameter once."""
        first = self.interact(frame, mask, mask, 1 - mask)
        reference = self.aggregate(first.features, first.features)
        return self.propagate(reference, frame, mask, first.probability).probability


def _encoded(encoder: nn.Module, windowed: Array) -> dict[int, Array]:
    features: dict[int, Array] = encoder(encoder.embed(windowed[..., :3]), windowed[..., 3:])  # type: ignore[attr-defined, operator]
    return features


class _Aggregation(nn.Module):
    """Weights of two references per channel, from their means over space.

    See experiments/papers/ipn.md, section 3.1.
    """

    reduction: int

    @nn.compact
    def __call__(self, current: Array, previous: Array) -> Array:
        n, channels = current.shape[0], current.shape[-1]
        means = jnp.mean(jnp.concatenate([current, previous], -1), (1, 2))
        hidden = nn.Dense(2 * channels // self.reduction, kernel_init=HE, name="reduce")(means)
        scores = nn.Dense(2 * channels, name="expand")(nn.relu(hidden))
        # Interleaved as published: the two scores of a channel lie side by side.
        weights = jax.nn.softmax(scores.reshape(n, 1, 1, channels, 2))
        return weights[..., 0] * current + weights[..., 1] * previous


class _Decoder(nn.Module):
    """Features of stride 32, then skips at strides 16, 8 and 4, to logits at five scales.

    `widths` are the channels of the blocks at stride 32; the last is that of all further ones.
    `projection` is that of `ResBlock`.
    """

    widths: tuple[int, ...]
    projection: int

    @nn.compact
    def __call__(self, x: Array, skips: dict[int, Array]) -> tuple[Array, ...]:
        for i, width in enumerate(self.widths, 1):
            x = ResBlock(width, self.projection, name=f"ResFM{i}")(x)
        logits = [_predict("pred5")(nn.relu(x))]
        for level, stride in ((4, 16), (3, 8), (2, 4)):
            refine = _Refine(self.widths[-1], self.projection, name=f"RF{level}")
            x = refine(skips[stride], x)
            logits.append(_predict(f"pred{level}")(nn.relu(x)))
        height, width = logits[-1].shape[1:3]
        logits.append(resize(logits[-1], (4 * height, 4 * width), align_corners=True))
        return tuple(reversed(logits))


def _predict(name: str) -> nn.Conv:
    # Zero at first: a saturated probability would be rounded and pass nothing on.
    return Conv(2, (3, 3), kernel_init=nn.initializers.zeros, name=name)


class _Refine(nn.Module):
    """IPN's refinement module: a residual block on the skip, plus the coarser map enlarged."""

    features: int
    projection: int

    @nn.compact
    def __call__(self, skip: Array, coarse: Array) -> Array:
        s = ResBlock(self.features, self.projection, name="ResFS")(skip)
        enlarged = resize(coarse, (s.shape[1], s.shape[2]), align_corners=True)
        return ResBlock(self.features, name="ResMM")(s + enlarged)
