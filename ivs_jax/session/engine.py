"""What a session needs from networks and video: protocols and the record that joins them.

Tests put plain NumPy objects here; `session.click` and `session.propagate` put networks.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class ImageEncoder(Interactor, Protocol):
    """An interactor that can encode an image once for many predictions on it.

    Not every interactor has this door; whoever predicts one image again and again asks for it.
    """

    def encode(self, image: np.ndarray) -> Any:
        """Encodes `image` `[H, W, 3]` uint8, for `predict(image, ..., encoded=...)`."""
        ...

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
        encoded: Any = None,
    ) -> Interaction:
        """As `Interactor.predict`. `encoded` is what `encode` gave for the same image.

        The parts of the image that it does not cover yet are encoded and kept in it.
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


class Stream(Protocol):
    """What is carried from frame to frame of a video without an end. It never changes itself."""

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids that were annotated so far, in order of probabilities."""
        ...

    def step(
        self, image: np.ndarray, annotation: Annotation | None = None
    ) -> tuple["Stream", np.ndarray]:
        """Segments the next frame.

        Args:
          image: `[H, W, 3]` uint8.
          annotation: what the user fixed on it; new ids are added.

        Returns:
          what is carried on, and probabilities `[H, W, K + 1]` float32, background first, then its
          `objects`. Annotated objects are as annotated.
        """
        ...

    def without(self, objects: Collection[int]) -> "Stream":
        """The same without some objects."""
        ...

    def annotated_only(self) -> "Stream":
        """The same with a memory of annotated frames and no others."""
        ...


@runtime_checkable
class StreamPropagator(Propagator, Protocol):
    """A propagator that can also follow a stream; not every one has this door."""

    def stream(self, size: tuple[int, int]) -> Stream:
        """The beginning of a stream of frames of `size` (H, W)."""
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
