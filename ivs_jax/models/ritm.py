"""RITM (Sofiiuk et al., 2021): a click network that sees its previous mask (experiments/ritm.md).

f-BRS's network with another way in: image and clicks enter an HRNet separately. Previous mask and
disks pass two convolutions of their own, and the result is added to what the first unit makes of
the image. So that unit is the image's part, computed once.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.fbrs import FBRS, LEAK, FBRSConfig, TapFeatures
from ivs_jax.models.hrnet import STEM, HRNet, HRNetConfig
from ivs_jax.models.layers import HE, Conv
from ivs_jax.models.resnet import normalised

MIXED = 16  # channels between the two convolutions of the clicks
FIRST_SCALE = 0.05  # of what the clicks add, before any training


@dataclass(frozen=True)
class RITMConfig(FBRSConfig):
    """Sizes of a RITM network and how it is used, see `FBRSConfig`; disks for distances."""

    body: HRNetConfig = HRNetConfig()
    maps: str = "disks"
    radius: float = 5.0
    previous: bool = True


class RITM(FBRS):
    """RITM's click network; the contract of `brs.ClickNet`, with a choice of taps."""

    config: RITMConfig = RITMConfig()

    def setup(self) -> None:
        self.mix = Conv(MIXED, (1, 1), kernel_init=HE)
        self.mix_stem = Conv(STEM, (3, 3), (2, 2), ((1, 1), (1, 1)), kernel_init=HE)
        self.mix_scale = self.param("mix_scale", nn.initializers.constant(FIRST_SCALE), (1,))
        self.body = HRNet(self.config.body)

    def encode(self, image: Array) -> Array:
        """`image` `[N, H, W, 3]` float32 in [0, 1] -> `[N, ceil(H/2), ceil(W/2), 64]`."""
        return self.body.embed(normalised(image))

    def features_at(
        self, features: Array, maps: Array, previous: Array, *, tap: str = "f-BRS-B"
    ) -> TapFeatures:
        """Up to the tap. `maps` `[N, H, W, 2]` disks; `previous` `[N, H, W]`, 0 without one."""
        clicks = jnp.concatenate([previous[..., None], maps], -1)
        clicks = self.mix_stem(nn.leaky_relu(self.mix(clicks), LEAK))
        clicks = clicks * jnp.abs(self.mix_scale)[None, None, None]
        tapped = self.body.until_embedded(features + clicks, tap)
        return TapFeatures(tapped.x, tapped.rest, maps)
