"""Sequences that are scored: of a tree in DAVIS's layout, or of a pair of folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.data.layouts.davis import RESOLUTION, Year, davis_sequences
from ivs_jax.data.layouts.folder_pair import folder_pair
from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import ClipFolders


class DavisSequence(NamedTuple):
    """One sequence on disk.

    Attributes:
      name: of the sequence.
      frames: folder of its images.
      annotations: one file per frame, in the order of the frames.
      joined: all objects count as one (DAVIS-2016).
    """

    name: str
    frames: Path
    annotations: tuple[Path, ...]
    joined: bool = False

    def truth(self, frame: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Ids `[H, W]` uint8 of a frame, see `read_objects`; 1 for every object if `joined`."""
        return read_objects(self.annotations[frame], size, joined=self.joined)


def open_davis(
    root: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = RESOLUTION,
    year: Year | None = None,
) -> list[DavisSequence]:
    """Finds the sequences named, or those of the split, and checks that their files are there.

    `year` is the edition, see `davis_sequences`. Raises ValueError naming what is absent: the
    split's list, a sequence, the annotation of a frame; and for sequences of fewer than 3 frames
    (first and last are not scored).
    """
    found = davis_sequences(
        Path(root), names=sequences or None, split=split, resolution=resolution, year=year
    )
    return [_checked(folders, year == "2016") for folders in found]


def open_pair(
    frames: str | Path,
    annotations: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    joined: bool = False,
) -> list[DavisSequence]:
    """The sequences of two folders, see `folder_pair`. Raises ValueError as `open_davis` does."""
    found = folder_pair(Path(frames), Path(annotations), names=sequences)
    return [_checked(folders, joined) for folders in found]


def read_objects(
    path: Path, size: tuple[int, int] | None = None, *, joined: bool = False
) -> np.ndarray:
    """`read_ids` with void as background, as in the semi-supervised protocol."""
    return read_ids(path, size=size, void=0, joined=joined)


def _checked(folders: ClipFolders, joined: bool) -> DavisSequence:
    frames, masks = folders.files()
    if len(frames) < 3:
        raise ValueError(f"{folders.frames}: {len(frames)} frames, expected at least 3")
    annotations = tuple(mask for mask in masks if mask is not None)  # all: they are complete
    return DavisSequence(folders.name, folders.frames, annotations, joined)
