"""What f-BRS and RITM put behind their input layers: a segmentation network with named cuts.

A body is a `linen.Module` made from its config alone. It is split at a tap, one for each f-BRS mode
in `taps`; scaling the features `Tapped.x` between `until` and `after` is what refinement does.
DeepLabV3+ is in `deeplab`, HRNet with OCR in `hrnet`.
"""

from typing import NamedTuple, Protocol

from jax import Array


class Tapped(NamedTuple):
    """The network cut at a tap.

    Attributes:
      x: `[N, h, w, C]`, the features that are scaled.
      rest: whatever else the remainder needs, e.g. features that skip the tap.
    """

    x: Array
    rest: tuple[Array, ...] = ()


class BodyOutput(NamedTuple):
    """Logits `[N, h, w, 1]` at a quarter of the size.

    Attributes:
      logits: the answer.
      auxiliary: of a head that only training uses; None where there is none.
    """

    logits: Array
    auxiliary: Array | None = None


class Body(Protocol):
    """The contract of a body.

    Attributes:
      taps: the f-BRS modes that it can be cut for, in the order of the network.
    """

    taps: tuple[str, ...]

    def until(self, x: Array, tap: str) -> Tapped:
        """`x` `[N, H, W, 3]` float32, a normalised image -> the network up to the tap."""

    def between(self, tapped: Tapped, tap: str, other: str) -> Tapped:
        """From a tap to the same or a later one."""

    def after(self, tapped: Tapped, tap: str) -> BodyOutput:
        """The rest of the network."""
