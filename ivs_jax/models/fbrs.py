"""The click networks of f-BRS (Sofiiuk et al., CVPR 2020).

The layers are in experiments/papers/brs.md, sections B1 to B3. Image and distance maps are mixed to
three channels by `rgb_conv` and enter an ordinary segmentation network, the body: DeepLabV3+ or
HRNet with OCR. `encode` holds the image's part of the first 1 x 1 convolution, all that depends on
the image alone.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
from jax import Array

from ivs_jax.models.body import BodyOutput, Tapped
from ivs_jax.models.brs import ClickModule, ClickOutput
from ivs_jax.models.deeplab import DeepLab, DeepLabConfig
from ivs_jax.models.hrnet import HRNet, HRNetConfig
from ivs_jax.models.layers import HE, Conv, FrozenBatchNorm
from ivs_jax.models.resnet import normalised
from ivs_jax.ops.resize import resize

BODIES: dict[type, Any] = {DeepLabConfig: DeepLab, HRNetConfig: HRNet}
MIXED = 8  # channels between the two convolutions of rgb_conv
LEAK = 0.2


@dataclass(frozen=True)
class FBRSConfig:
    """Sizes of an f-BRS network and how it is used.

    Attributes:
      body: config of the body; its type says which module it is, see `BODIES`.
      maps: encoding of clicks, here tanh distances.
      radius: of disks, which "fbrs" maps do not have.
      threshold: probability from which a pixel belongs to the object.
      input_size: side of the square window that the network is given (published: zoom-in to 400).
      flip: whether the answer is averaged with that of the mirror image (published: yes).
      previous: whether the mask of the previous click is a further input (it is not).
    """

    body: Any = DeepLabConfig()
    maps: str = "fbrs"
    radius: float = 0.0
    threshold: float = 0.49
    input_size: int = 400
    flip: bool = True
    previous: bool = False

    @property
    def taps(self) -> tuple[str, ...]:
        """The f-BRS modes that the network can be cut for."""
        return BODIES[type(self.body)].taps


class TapFeatures(NamedTuple):
    """State at a tap.

    Attributes:
      x: `[N, h, w, C]`, the features that f-BRS scales.
      rest: see `body.Tapped`.
      maps: `[N, H, W, 2]`; the remainder reads its size only.
    """

    x: Array
    rest: tuple[Array, ...]
    maps: Array


class FBRS(ClickModule):
    """f-BRS's click network; the contract of `brs.ClickNet`, with a choice of taps."""

    config: FBRSConfig = FBRSConfig()

    def setup(self) -> None:
        self.mix_image = Conv(MIXED, (1, 1), kernel_init=HE)
        self.mix_maps = Conv(MIXED, (1, 1), use_bias=False, kernel_init=HE)
        self.mix_norm = FrozenBatchNorm()
        self.mix_output = Conv(3, (1, 1), kernel_init=HE)
        self.body = BODIES[type(self.config.body)](self.config.body)

    def encode(self, image: Array) -> Array:
        """`image` `[N, H, W, 3]` float32 in [0, 1] -> its part of the mixture `[N, H, W, 8]`."""
        if image.ndim != 4 or image.shape[-1] != 3:
            raise ValueError(f"encode: image is {image.shape}, expected (N, H, W, 3)")
        return self.mix_image(normalised(image))

    def features_at(
        self, features: Array, maps: Array, previous: Array, *, tap: str = "f-BRS-B"
    ) -> TapFeatures:
        """Up to the tap. `maps` `[N, H, W, 2]` distances; `previous` is not used."""
        expected = (*features.shape[:3], 2)
        if maps.shape != expected:
            raise ValueError(f"features_at: maps are {maps.shape}, expected {expected}")
        tapped = self.body.until(self.mixed(features, maps), tap)
        return TapFeatures(tapped.x, tapped.rest, maps)

    def mixed(self, features: Array, maps: Array) -> Array:
        """The rest of `rgb_conv`: `[N, H, W, 3]`, what the body sees."""
        mixed = nn.leaky_relu(features + self.mix_maps(maps), LEAK)
        return self.mix_output(self.mix_norm(mixed))

    def head(self, tapped: TapFeatures, *, tap: str = "f-BRS-B") -> ClickOutput:
        """The rest of the network; `coarse` is of the auxiliary head, where the body has one."""
        out = self.body.after(Tapped(tapped.x, tapped.rest), tap)
        return self.enlarged(out, (tapped.maps.shape[1], tapped.maps.shape[2]))

    def enlarged(self, out: BodyOutput, size: tuple[int, int]) -> ClickOutput:
        """Logits of the body at the size of the input."""
        logits = resize(out.logits, size, align_corners=True)[..., 0]
        if out.auxiliary is None:
            return ClickOutput(logits, logits)
        return ClickOutput(logits, resize(out.auxiliary, size, align_corners=True)[..., 0])
