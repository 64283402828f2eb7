"""What a session needs from networks and video: three protocols and the record that joins them.

Tests put plain NumPy objects here; `session.click` and `session.propagate` put networks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ivs_jax.types import Annotation, Clicks, Interaction


class Frames(Protocol):
    """A video: lazy, random access. `io.frames.Video` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray:
        """Frame `index`, `[H, W, 3]` uint8 RGB."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), the same for every frame."""
        ...

    @property
    def path(self) -> Path | str: ...


@dataclass(frozen=True)
class Still:
    """One image, `[H, W, 3]` uint8, as a video of one frame."""

    image: np.ndarray
    path: str = "image"

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int, /) -> np.ndarray:
        return (self.image,)[index]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


class Interactor(Protocol):
    """Clicks -> mask of one object on one frame."""

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
    ) -> Interaction:
        """Segments one object.

        Args:
          image: `[H, W, 3]` uint8.
          clicks: all clicks of this object on this frame in order, in pixels of the frame. Strokes
            are among them as a few points each, for networks that see clicks alone.
          previous: `[H, W]` float32 in [0, 1], the object's mask before the last click; None if
            it had none.
          scribbles: `[H, W]` int8, every stroke on this frame, one pixel wide: 1 = this object,
            0 = not this object, -1 = nothing drawn; None if there are no strokes.
        """
        ...


class Propagator(Protocol):
    """Masks of some frames -> masks of other frames."""

    def propagate(
        self,
        video: Any,
        annotations: Mapping[int, Annotation],
        objects: tuple[int, ...],
        frames: Sequence[int],
        *,
        start: int,
        previous: Mapping[int, np.ndarray] | None = None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Segments `frames` one after the other.

        Args:
          video: the frames, `Frames`.
          annotations: frame -> what is known there; decoded at each access. It holds every frame
            that the user marked (`objects` = the marked ids, `labels` has only their pixels) and
            always `start`, where `objects` are all ids segmented there so far, by the user or by
            an earlier propagation. Its order is that of the rounds: the frame marked first is
            first, `start` is last.
          objects: ids to segment, ascending; each is in some annotation.
          frames: contiguous, ascending or descending, frames[0] is next to `start`.
          start: the frame whose masks are carried on.
          previous: frame -> `[H, W, K + 1]` float32 as it yields them, what earlier rounds said
            there; without frames that no round reached. None = nothing was said.

        Yields:
          (frame, probabilities `[H, W, K + 1]` float32, background first, then `objects`) for
          every one of `frames` in order, annotated ones too. Closing the generator cancels.
        """
        ...


@dataclass(frozen=True)
class Engine:
    """Video and networks of one session.

    Attributes:
      video: the frames.
      interactor: clicks -> mask.
      propagator: masks -> masks of other frames.
      name: what produced the masks, e.g. "click-small/f-BRS-B/stm-small"; a saved session names
        it, because a replay is exact only with the same networks.
    """

    video: Frames
    interactor: Interactor
    propagator: Propagator
    name: str
