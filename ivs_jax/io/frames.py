"""Frames of a video file, a folder of images, one image, or arrays: lazy where files are read."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL.Image import Image

from .arrays import ArrayFrames
from .errors import VideoError
from .images import IMAGE_SUFFIXES, ImageFrames, list_images
from .stream import StreamFrames

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".avi", ".mkv")


class Source(Protocol):
    """Where frames come from. `read` may return neighbours in `first..frame` that cost little."""

    names: list[str]
    size: tuple[int, int]
    fps: float | None
    decoded: int

    def __len__(self) -> int: ...
    def read(self, frame: int, first: int) -> dict[int, np.ndarray]: ...
    def close(self) -> None: ...


class Video:
    """Frames by number; at most `cache_frames` decoded frames are held.

    A video can be used from several threads. The least recently used frame leaves the cache first.
    Walking backwards through a video file keeps the last `cache_frames` frames of each decoding
    from the keyframe on: with G frames between keyframes a step then costs about
    1 + G / (2 cache_frames) decodes instead of G / 2.

    Attributes:
      path: the file or folder.
      size: `(H, W)` in pixels, after rotation.
      fps: frames a second, None for images.
      names: one name a frame: file stems, or 00000, 00001, ... for video files.
    """

    def __init__(self, path: Path, source: Source, *, cache_frames: int) -> None:
        if cache_frames < 1:
            raise ValueError(f"cache_frames must be at least 1, found {cache_frames}")
        self.path = path
        self.size = source.size
        self.fps = source.fps
        self.names = source.names
        self._source = source
        self._cache_frames = cache_frames
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._last = -1
        self._closed = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> np.ndarray:
        """Frame `index` as read-only uint8 `[H, W, 3]` RGB; negative counts from the end.

        Raises IndexError outside the video, and VideoError (naming file and frame) if the frame
        cannot be decoded.
        """
        count = len(self)
        frame = index + count if index < 0 else index
        if not 0 <= frame < count:
            raise FrameIndexError(
                f"{self.path}: frame {index} asked for, expected 0..{count - 1} ({count} frames)"
            )
        with self._lock:
            if self._closed:
                raise VideoError(f"{self.path}: frame {frame} asked for, but the video is closed")
            image = self._lookup(frame)
            self._last = frame
            return image

    @property
    def decoded(self) -> int:
        """Number of frames decoded so far: shows what an access pattern costs."""
        return self._source.decoded

    @property
    def held(self) -> int:
        """Number of decoded frames in memory, at most `cache_frames`."""
        return len(self._cache)

    def close(self) -> None:
        """Closes the file and forgets decoded frames."""
        with self._lock:
            self._closed = True
            self._cache.clear()
            self._source.close()

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _lookup(self, frame: int) -> np.ndarray:
        if frame not in self._cache:
            window = self._cache_frames
            backwards = self._last - window <= frame < self._last
            first = max(0, frame - window + 1) if backwards else frame
            for i, image in self._source.read(frame, first).items():
                image.flags.writeable = False  # shared with later readers
                self._cache[i] = image
                self._cache.move_to_end(i)
                if len(self._cache) > window:
                    self._cache.popitem(last=False)
        self._cache.move_to_end(frame)
        return self._cache[frame]


class FrameIndexError(VideoError, IndexError):
    """A frame number outside the video. An IndexError too, so that a `for` loop over it ends."""


Frames = np.ndarray | Image | Iterable[np.ndarray | Image]


def open_video(video: str | os.PathLike[str] | Video | Frames, *, cache_frames: int = 24) -> Video:
    """Opens a video file (mp4, mov, webm, avi, mkv), a folder of images, one image, or frames.

    Folders: .jpg .jpeg .png in natural order (img2 before img10), all of one size. EXIF orientation
    and the rotation of phone videos are honoured. Grey, palette, 16-bit and RGBA become RGB uint8.

    Frames in memory: an array `[T, H, W, 3]` uint8 RGB, a list of arrays `[H, W, 3]`, a Pillow
    image or a list of them. They are not copied. A generator is read to its end and all its frames
    are held in memory; for frames that never end see `ivs_jax.StreamPredictor`. A video that is
    open already is given back as it is.

    Opening reads headers of images, and for video files every packet but decodes the first frame
    only (see `stream.py`). Raises VideoError that names the file and frame for: missing path,
    unknown kind of file, no frames, unreadable or truncated file, frames of different sizes, arrays
    of another type or shape.

    >>> from ivs_jax import open_video
    >>> video = open_video("clip.mp4")
    >>> len(video), video.size, video[0].shape
    (8, (96, 160), (96, 160, 3))
    >>> len(open_video(frame[:, ::-1] for frame in video))  # frames from anywhere, here mirrored
    8
    """
    if isinstance(video, Video):
        return video
    if isinstance(video, str | os.PathLike):
        path = Path(video)
        return Video(path, _source(path), cache_frames=cache_frames)
    return Video(Path("frames in memory"), ArrayFrames(video), cache_frames=cache_frames)


def _source(path: Path) -> Source:
    """Where the frames of a file or folder come from."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return ImageFrames(list_images(path))
    if not path.exists():
        raise VideoError(f"{path}: no such file or folder")
    if suffix in IMAGE_SUFFIXES:
        return ImageFrames([path])
    if suffix in VIDEO_SUFFIXES:
        return StreamFrames(path)
    expected = " ".join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)
    raise VideoError(
        f"{path}: unsupported kind {suffix or 'without suffix'!r}, expected a "
        f"folder of images or one of {expected}"
    )
