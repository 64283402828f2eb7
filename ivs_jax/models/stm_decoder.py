"""The decoder of a space-time memory network: what was read, refined by the frame's features."""

from typing import NamedTuple

import flax.linen as nn
from jax import Array

from ivs_jax.models.layers import HE, Conv, ResBlock
from ivs_jax.models.mask_value import average, per_object
from ivs_jax.ops.resize import resize


class MaskPath(NamedTuple):
    """What a decoder with a path for masks sees besides the features; all masks in [0, 1].

    Attributes:
      coarse: `[N * K, H/4, W/4, E]`; the first is the object's mask as read from the memory.
      fine: `[N * K, H/2, W/2, F]`, the same at half the size, and others that there are.
      r1: `[N, H/2, W/2, C]`, features of the frame at that size.
    """

    coarse: Array
    fine: Array
    r1: Array


class Decoder(nn.Module):
    """Oh et al., ICCV 2019, section 3.3; optionally with a path for masks.

    Attributes:
      widths: channels at strides 16, 8 and 4.
      fine: channels of the last step at stride 2, of a decoder with a path for masks.
    """

    widths: tuple[int, int, int]
    fine: int = 16

    @nn.compact
    def __call__(self, x: Array, r3: Array, r2: Array, masks: MaskPath | None = None) -> Array:
        """`x` `[N * K, h, w, C]` at stride 16, `r3` and `r2` `[N, ...]` skips at strides 8 and 4.

        Returns logits `[N * K, H, W, 2]`, background first. With a path for masks they start from
        the mask that was read.
        """
        x = Conv(self.widths[0], (3, 3), kernel_init=HE, name="convFM")(x)
        x = ResBlock(self.widths[0], name="ResMM")(x)
        x = Refine(self.widths[1], name="RF3")(r3, x, masks and average(masks.coarse, 2))
        x = Refine(self.widths[2], name="RF2")(r2, x, masks and masks.coarse)
        # Zero at first: a saturated probability would be clipped and pass no gradient.
        predict = Conv(2, (3, 3), kernel_init=nn.initializers.zeros, name="pred2")
        logits = predict(nn.relu(x))
        if masks is None:
            return resize(logits, (4 * logits.shape[1], 4 * logits.shape[2]))
        gain = self.param("copy", nn.initializers.constant(2.0), ()).astype(logits.dtype)
        logits = logits.at[..., 1:].add(gain * (2 * masks.coarse[..., :1] - 1))
        logits = Sharpen(self.fine, name="sharpen")(x, logits, masks)
        return resize(logits, (2 * logits.shape[1], 2 * logits.shape[2]))


class Sharpen(nn.Module):
    """Logits at stride 4 -> at stride 2, with the fine masks and features.

    It starts from the enlarged logits and what the fine mask has that the coarse one lacks.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, logits: Array, masks: MaskPath) -> Array:
        """`x` `[N * K, h, w, C]` behind `logits` `[N * K, h, w, 2]`; returns `[.., 2h, 2w, 2]`."""
        size = masks.fine.shape[1], masks.fine.shape[2]
        skip = Conv(self.features, (1, 1), kernel_init=HE, name="skip")(masks.r1)
        seen = Conv(self.features, (3, 3), kernel_init=HE, name="masks")(masks.fine)
        x = Conv(self.features, (1, 1), kernel_init=HE, name="narrow")(nn.relu(x))
        x = nn.relu(per_object(skip, len(x) // len(skip)) + seen + resize(x, size))
        x = nn.relu(Conv(self.features, (3, 3), kernel_init=HE, name="mix")(x))
        change = Conv(1, (3, 3), kernel_init=nn.initializers.zeros, name="change")(x)
        gain = self.param("copy", nn.initializers.constant(2.0), ()).astype(logits.dtype)
        own = masks.fine[..., :1]
        change += gain * 2 * (own - resize(average(own, 2), size))
        return resize(logits, size).at[..., 1:].add(change)


class Refine(nn.Module):
    """STM's refinement module: a skip convolution plus the coarser map brought up twice.

    A coarser map of another width is first projected by a 1 x 1 convolution (the published sizes
    are all 256 and have none).
    """

    features: int

    @nn.compact
    def __call__(self, skip: Array, coarse: Array, masks: Array | None = None) -> Array:
        """`skip` `[N, 2h, 2w, S]` of the frame, `coarse` `[N * K, h, w, C]` of each object."""
        s = Conv(self.features, (3, 3), kernel_init=HE, name="convFS")(skip)
        s = per_object(ResBlock(self.features, name="ResFS")(s), len(coarse) // len(skip))
        if coarse.shape[-1] != self.features:
            coarse = Conv(self.features, (1, 1), kernel_init=HE, name="project")(coarse)
        x = s + resize(coarse, (s.shape[1], s.shape[2]))
        if masks is not None:
            x = x + Conv(self.features, (3, 3), kernel_init=HE, name="masks")(masks)
        return ResBlock(self.features, name="ResMM")(x)
