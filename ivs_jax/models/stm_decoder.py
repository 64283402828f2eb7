"""The decoder of a space-time memory network: what was read, refined by the frame's features."""

import flax.linen as nn
from jax import Array

from ivs_jax.models.layers import HE, Conv, ResBlock
from ivs_jax.models.mask_value import average, per_object
from ivs_jax.ops.resize import resize


class Decoder(nn.Module):
    """The decoder of STM (experiments/papers/stm.md, section 1); optionally with a path for masks.

    Attributes:
      widths: channels at strides 16, 8 and 4.
    """

    widths: tuple[int, int, int]

    @nn.compact
    def __call__(self, x: Array, r3: Array, r2: Array, masks: Array | None = None) -> Array:
        """`x` `[N * K, h, w, C]` at stride 16, `r3` and `r2` `[N, ...]` skips at strides 8 and 4.

        `masks` `[N * K, H/4, W/4, E]` in [0, 1], if given, also enter at strides 8 and 4; the first
        is the object's mask as read from the memory, which the answer starts from. Returns logits
        `[N * K, H, W, 2]`, background first.
        """
        x = Conv(self.widths[0], (3, 3), kernel_init=HE, name="convFM")(x)
        x = ResBlock(self.widths[0], name="ResMM")(x)
        at_8 = None if masks is None else average(masks, 2)
        x = Refine(self.widths[1], name="RF3")(r3, x, at_8)
        x = Refine(self.widths[2], name="RF2")(r2, x, masks)
        # Zero at first: a saturated probability would be clipped and pass no gradient.
        predict = Conv(2, (3, 3), kernel_init=nn.initializers.zeros, name="pred2")
        logits = predict(nn.relu(x))
        if masks is not None:
            gain = self.param("copy", nn.initializers.constant(2.0), ())
            copied = gain.astype(logits.dtype) * (2 * masks[..., :1] - 1)
            logits = logits.at[..., 1:].add(copied.astype(logits.dtype))
        return resize(logits, (4 * logits.shape[1], 4 * logits.shape[2]))


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
