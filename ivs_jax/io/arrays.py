"""Frames that are in memory already: arrays and Pillow images, one or many."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from .errors import VideoError
from .images import in_words, oriented_rgb, oriented_size

KINDS = (
    "an array [T, H, W, 3] uint8, or arrays [H, W, 3] uint8 or Pillow images one after the other"
)


class ArrayFrames:
    """Frames from memory.

    Arrays and Pillow images are not copied, so they must stay as they are while the video is in
    use. What an iterator yields is copied at once, because it may fill one buffer again and again.

    Attributes:
      names: 00000, 00001, ...
      size: `(H, W)`, the same for all.
      fps: None; arrays carry no time.
      decoded: number of frames read so far.
    """

    fps: float | None = None

    def __init__(self, video: Any) -> None:
        frames = _frames(video)
        if not frames:
            raise VideoError(f"video: found no frame, expected {KINDS}")
        for number, frame in enumerate(frames):
            _check_frame(frame, number)
        self.size = _size(frames[0])
        for number, frame in enumerate(frames):
            if _size(frame) != self.size:
                raise VideoError(
                    f"video: frame {number} is {in_words(_size(frame))}, but frame 0 is "
                    f"{in_words(self.size)}; all frames must have the same size"
                )
        self._frames = frames
        self.names = [f"{number:05d}" for number in range(len(frames))]
        self.decoded = 0

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, frame: int, first: int) -> dict[int, np.ndarray]:
        """Frame `frame` only."""
        self.decoded += 1
        found = self._frames[frame]
        # A view, because the reader makes it read-only and the array belongs to the caller.
        return {frame: oriented_rgb(found) if isinstance(found, Image.Image) else found.view()}

    def close(self) -> None:
        """Nothing is held open."""


def _frames(video: Any) -> Sequence[Any]:
    """The frames one by one; what an iterator yields is copied."""
    if isinstance(video, Image.Image):
        return [video]
    if hasattr(video, "__array__"):
        array = np.asarray(video)
        if array.ndim != 4:
            raise VideoError(f"video is {array.dtype} {list(array.shape)}, expected {KINDS}")
        return list(array)
    if isinstance(video, Iterator):
        return [
            frame.copy() if isinstance(frame, Image.Image) else np.array(frame) for frame in video
        ]
    if not isinstance(video, Iterable) or isinstance(video, dict | bytes):
        raise VideoError(f"video is a {type(video).__name__}, expected a path, or {KINDS}")
    return [frame if isinstance(frame, Image.Image) else np.asarray(frame) for frame in video]


def _check_frame(frame: Any, number: int) -> None:
    if isinstance(frame, Image.Image):
        return
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise VideoError(
            f"video: frame {number} is {frame.dtype} {list(frame.shape)}, expected uint8 [H, W, 3] "
            "RGB"
        )


def _size(frame: Any) -> tuple[int, int]:
    """(H, W)."""
    if isinstance(frame, Image.Image):
        return oriented_size(frame)
    return frame.shape[0], frame.shape[1]
