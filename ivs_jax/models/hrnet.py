"""HRNetV2 (Wang et al., 2019) with the OCR head, as f-BRS and RITM have it.

The layers are in experiments/papers/brs.md, section B3. Branches at 1/4, 1/8, 1/16 and 1/32 of the
size run side by side and exchange their features again and again; in the end they are enlarged to
1/4 and joined. Everything is enlarged with align_corners=True.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.body import BodyOutput, Tapped
from ivs_jax.models.layers import ConvNorm
from ivs_jax.models.ocr import OCR
from ivs_jax.models.resnet import BasicBlock, Bottleneck
from ivs_jax.ops.resize import resize

STEM = 64
TAPS = ("f-BRS-A", "f-BRS-B", "f-BRS-C")


@dataclass(frozen=True)
class HRNetConfig:
    """Sizes.

    Attributes:
      width: channels of the finest branch; each coarser one has twice as many.
      ocr: width of the OCR head.
      blocks: residual blocks of a branch between two exchanges, and of the first stage.
      modules: how often two, three and four branches exchange their features.
    """

    width: int = 18
    ocr: int = 64
    blocks: int = 4
    modules: tuple[int, int, int] = (1, 4, 3)


SMALL = HRNetConfig(18, 48, blocks=2, modules=(1, 3, 2))


class HRNet(nn.Module):
    """A `body.Body`; f-BRS-A and f-BRS-B both cut before OCR, f-BRS-C behind it.

    `embed` and `until_embedded` are the two parts of `until`: RITM adds what it makes of the clicks
    between them.
    """

    config: HRNetConfig = HRNetConfig()
    taps = TAPS

    def setup(self) -> None:
        config = self.config
        widths = tuple(config.width * 2**i for i in range(4))
        self.stem = ConvNorm(STEM, stride=2)
        self.stem_inner = ConvNorm(STEM, stride=2)
        self.layer1 = [Bottleneck(STEM, project=i == 0) for i in range(config.blocks)]
        self.transition1 = [ConvNorm(widths[0]), ConvNorm(widths[1], stride=2)]
        self.transition2 = ConvNorm(widths[2], stride=2)
        self.transition3 = ConvNorm(widths[3], stride=2)
        self.stage2 = Exchange(widths[:2], config.blocks)
        self.stage3 = Exchange(widths[:3], config.blocks)
        self.stage4 = Exchange(widths, config.blocks)
        self.ocr = OCR(sum(widths), config.ocr)

    def embed(self, x: Array) -> Array:
        """First unit: a normalised image `[N, H, W, 3]` -> `[N, ceil(H/2), ceil(W/2), 64]`."""
        return self.stem(x)

    def until(self, x: Array, tap: str) -> Tapped:
        """`x` `[N, H, W, 3]`, a normalised image; the features are at 1/4 of the size."""
        return self.until_embedded(self.embed(x), tap)

    def until_embedded(self, embedded: Array, tap: str) -> Tapped:
        """From the first unit's output to the tap."""
        return self.between(Tapped(self._trunk(embedded)), self.taps[0], tap)

    def between(self, tapped: Tapped, tap: str, other: str) -> Tapped:
        """From a tap to the same or a later one."""
        if _behind_ocr(other) and not _behind_ocr(tap):
            features, auxiliary = self.ocr(tapped.x)
            return Tapped(features, (auxiliary,))
        return tapped

    def after(self, tapped: Tapped, tap: str) -> BodyOutput:
        """The rest of the network; logits at 1/4 of the size."""
        features, (auxiliary,) = self.between(tapped, tap, self.taps[-1])
        return BodyOutput(self.ocr.classify(features), auxiliary)

    def _trunk(self, embedded: Array) -> Array:
        x = self.stem_inner(embedded)
        for block in self.layer1:
            x = block(x)
        two, three, four = self.config.modules
        branches = repeated(self.stage2, [unit(x) for unit in self.transition1], two)
        branches = [*branches, self.transition2(branches[-1])]
        branches = repeated(self.stage3, branches, three)
        branches = [*branches, self.transition3(branches[-1])]
        branches = repeated(self.stage4, branches, four)
        size = (branches[0].shape[1], branches[0].shape[2])
        return jnp.concatenate([resize(b, size, align_corners=True) for b in branches], -1)


def _behind_ocr(tap: str) -> bool:
    if tap not in TAPS:
        raise ValueError(f"tap is {tap!r}, expected one of {', '.join(TAPS)}")
    return tap == TAPS[-1]


def repeated(module: nn.Module, branches: list[Array], times: int) -> list[Array]:
    """Modules like `module` one after the other, their parameters stacked along a first axis.

    As a scan they are traced and compiled once: W18 compiles in a quarter of the time that eight
    written out take, and runs as fast.
    """
    axes: dict[Any, Any] = {"params": 0, "batch_stats": 0}
    scan = nn.scan(
        lambda module, branches, _: (module(branches), None),
        variable_axes=axes,
        split_rngs={"params": True},
        length=times,
    )
    return scan(module, branches, None)[0]


class Exchange(nn.Module):
    """Residual blocks on each branch, then every branch receives the sum of all.

    Attributes:
      widths: channels of the branches, the finest first.
      blocks: residual blocks of a branch.
    """

    widths: tuple[int, ...]
    blocks: int

    @nn.compact
    def __call__(self, branches: list[Array]) -> list[Array]:
        """Branch i is `[N, h / 2**i, w / 2**i, widths[i]]`, rounded up."""
        branches = list(branches)
        for i, width in enumerate(self.widths):
            for j in range(self.blocks):
                branches[i] = BasicBlock(width, name=f"branch{i}_{j}")(branches[i])
        return [nn.relu(self._received(i, branches)) for i in range(len(branches))]

    def _received(self, i: int, branches: list[Array]) -> Array:
        total = branches[i]
        for j, x in enumerate(branches):
            if j > i:
                x = ConvNorm(self.widths[i], kernel=1, act=False, name=f"up{j}_{i}")(x)
                total = total + resize(x, (total.shape[1], total.shape[2]), align_corners=True)
            elif j < i:
                total = total + self._reduced(x, j, i)
        return total

    def _reduced(self, x: Array, j: int, i: int) -> Array:
        """Halvings from scale j to i; only the last one changes the width, and has no ReLU."""
        for k in range(i - j):
            last = k == i - j - 1
            width = self.widths[i if last else j]
            x = ConvNorm(width, stride=2, act=not last, name=f"down{j}_{i}_{k}")(x)
        return x
