"""Annotated sequences: what a clip is, sets of them, and their frames as stills."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from PIL import Image

from ivs_jax.data.layouts.tree import ClipFolders
from ivs_jax.data.stills import Still, StillSet, Stored, decode_image, decode_labels


@dataclass(frozen=True)
class Clip:
    """One sequence; frames are decoded when asked for.

    Attributes:
      name: of the sequence, with its set's, for messages.
      frames: image files or their contents, in order.
      masks: one a frame, None where it is not annotated; contents are PNGs of ids.
      read_mask: reads the ids of a mask file; needed where masks are files.
      cache: holds decoded frames by (kind, number); None keeps nothing.
    """

    name: str
    frames: tuple[Stored, ...]
    masks: tuple[Stored | None, ...]
    read_mask: Callable[[Path], np.ndarray] | None = None
    cache: dict[tuple[str, int], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if not self.frames or len(self.frames) != len(self.masks):
            counts = f"{len(self.frames)} frames and {len(self.masks)} masks"
            raise ValueError(f"{self.name}: {counts}, expected as many and at least one")

    def __len__(self) -> int:
        return len(self.frames)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"cache": None if self.cache is None else {}}

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """Numbers of the frames that have a mask."""
        return tuple(i for i, mask in enumerate(self.masks) if mask is not None)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W) of the first frame, from its header."""
        stored = self.frames[0]
        try:
            with Image.open(BytesIO(stored) if isinstance(stored, bytes) else stored) as image:
                return image.height, image.width
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{self._where(stored, 0)}: cannot be read ({error})") from error

    def frame(self, index: int) -> np.ndarray:
        """`[H, W, 3]` uint8. ValueError naming the file if damaged or of another size."""
        return self._read("frame", index)

    def labels(self, index: int) -> np.ndarray | None:
        """`[H, W]` uint8 object ids, 0 = background, 255 = void; None if not annotated."""
        return None if self.masks[index] is None else self._read("mask", index)

    def _read(self, kind: str, index: int) -> np.ndarray:
        if self.cache is None:
            return self._decoded(kind, index)
        if (kind, index) not in self.cache:
            self.cache[kind, index] = self._decoded(kind, index)
        return self.cache[kind, index]

    def _decoded(self, kind: str, index: int) -> np.ndarray:
        stored = self.frames[index] if kind == "frame" else self.masks[index]
        assert stored is not None
        where = self._where(stored, index)
        if kind == "frame":
            pixels = decode_image(stored, where)
        elif isinstance(stored, bytes):
            pixels = decode_labels(stored, where)
        else:
            assert self.read_mask is not None
            pixels = self.read_mask(stored)
        if pixels.shape[:2] != self.size:
            sizes = f"{kind} is {pixels.shape[:2]}, the first frame of its sequence is {self.size}"
            raise ValueError(f"{where}: {sizes}")
        return pixels

    def _where(self, stored: Stored, index: int) -> str:
        return f"{self.name}, frame {index}" if isinstance(stored, bytes) else str(stored)


class ClipSet(Sequence[Clip]):
    """What every set of clips is: random access by number, in a fixed order."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, index: int) -> Clip:
        """The clip of a number from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: SupportsIndex) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.read(range(len(self))[index])


class FileClips(ClipSet):
    """Sequences of a published tree or a folder.

    Only names are looked at on opening. Raises ValueError naming the file or folder that is missing
    or empty.
    """

    def __init__(self, name: str, folders: Sequence[ClipFolders], *, cached: bool = False) -> None:
        super().__init__(name)
        self._clips = [
            Clip(one.name, *one.files(), one.labels, {} if cached else None) for one in folders
        ]

    def __len__(self) -> int:
        return len(self._clips)

    def read(self, index: int) -> Clip:
        return self._clips[index]


class ClipFrames(StillSet):
    """Every `every`-th annotated frame of a set of clips, as stills."""

    def __init__(self, clips: ClipSet, every: int, *, cached: bool = False) -> None:
        super().__init__(clips.name, cached=cached)
        self._clips = clips
        self._places = [
            (number, frame)
            for number in range(len(clips))
            for frame in clips[number].annotated[::every]
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, index: int) -> Still:
        number, frame = self._places[index]
        clip = self._clips[number]
        labels = clip.labels(frame)
        assert labels is not None
        return Still(clip.frame(frame), labels, self.name)
