"""What the reader of a published tree says: where it starts, its splits, and the files of each.

All readers give masks as ids `[H, W]`: 0 background, objects from 1, 255 void. Finding the files
opens none of them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.io.images import list_images


class StillFiles(NamedTuple):
    """One image, and what its mask is read from.

    Attributes:
      name: of the record; unique in its split.
      image, mask: the files; where one of a pair is missing, the place where it was expected. Where
        a list holds the masks, `mask` is the image.
      labels: reads the ids; ValueError naming the file.
    """

    name: str
    image: Path
    mask: Path
    labels: Callable[[], np.ndarray]

    def lost(self) -> str:
        """Which of the two files is missing; empty if both are there."""
        for file, other in ((self.image, self.mask), (self.mask, self.image)):
            if not file.is_file():
                return f"{file}: no such file, expected for {other}"
        return ""


class ClipFiles(NamedTuple):
    """Frames in natural order; a mask each, or None where a frame is not annotated."""

    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]


class ClipFolders(NamedTuple):
    """One sequence: a folder of frames and one of PNG masks with the same stems.

    Attributes:
      name: of the sequence.
      frames, masks: the folders; they may be missing.
      labels: reads the ids of a mask file; ValueError naming it.
      complete: whether every frame must have a mask.
    """

    name: str
    frames: Path
    masks: Path
    labels: Callable[[Path], np.ndarray]
    complete: bool

    def files(self) -> ClipFiles:
        """ValueError naming the folder without frames or masks, or the mask that is missing."""
        for folder in (self.frames, self.masks):
            if not folder.is_dir():
                raise ValueError(f"{folder}: no such folder, expected the sequence {self.name!r}")
        frames = tuple(list_images(self.frames))
        wanted = [self.masks / f"{frame.stem}.png" for frame in frames]
        masks = tuple(mask if mask.is_file() else None for mask in wanted)
        missing = [w.name for w, mask in zip(wanted, masks, strict=True) if mask is None]
        if missing and (self.complete or len(missing) == len(frames)):
            raise ValueError(
                f"{self.masks}: no {missing[0]} ({len(missing)} of {len(frames)} missing)"
            )
        return ClipFiles(frames, masks)


class Tree:
    """A data set as it was published.

    Attributes of a subclass:
      name: in commands.
      title: the proper name, for reports.
      source: where the files are from, and how they lie.
      roots: folders of the download in which the tree may start; the first that fits is taken.
      parts: files and folders that are always there.
      splits: split -> the file or folder that lists it; not all need be there.
    """

    name = ""
    title = ""
    source = ""
    roots: tuple[str, ...] = ("",)
    parts: tuple[str, ...] = ()
    splits: dict[str, str] = {}

    def find(self, folder: Path) -> Path | None:
        """Where the tree starts in `folder`; None if it is not there."""
        for start in self.roots:
            root = folder / start
            if all((root / part).exists() for part in self.parts) and self.lists(root):
                return root
        return None

    def root(self, folder: Path) -> Path:
        """Where the tree starts. Raises ValueError saying what is missing and where to get it."""
        if root := self.find(folder):
            return root
        missing = [part for part in self.parts if not (folder / part).exists()]
        what = missing[0] if missing else f"list of a split ({', '.join(self.splits.values())})"
        raise ValueError(
            f"{folder}: no {what}, found {listing(folder)}. {self.name} needs {self.source}"
        )

    def lists(self, root: Path) -> dict[str, Path]:
        """Every split that is there, and the file or folder that lists it."""
        return {s: root / path for s, path in self.splits.items() if (root / path).exists()}

    def chosen(self, root: Path, splits: Sequence[str] = ()) -> dict[str, Path]:
        """The lists of `splits`, or of all. Raises ValueError for a split that is not there."""
        found = self.lists(root)
        for split in splits:
            if split not in found:
                known = ", ".join(found)
                raise ValueError(f"{root}: no split {split!r} of {self.name}, found {known}")
        return {split: found[split] for split in splits or found}


class StillTree(Tree):
    """A tree of images."""

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        """The records of the split that `listed` lists, in order."""
        raise NotImplementedError


class ClipTree(Tree):
    """A tree of sequences.

    Attributes of a subclass:
      resolution: folder of frames that is taken if none is asked for; empty where there is one.
      scribbled: whether sequences have human scribbles.
    """

    resolution = ""
    scribbled = False

    def clips(self, root: Path, listed: Path, resolution: str) -> list[ClipFolders]:
        """The sequences of the split that `listed` lists, in order."""
        raise NotImplementedError

    def scribbles(self, root: Path, name: str) -> list[str]:
        """The JSON texts of the human scribbles of a sequence."""
        raise NotImplementedError


def listing(folder: Path) -> str:
    """What is in a folder, for a message: some of the names in it."""
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:6] + ["..."] * (len(names) > 6)) or "an empty folder"


def read_names(path: Path) -> list[str]:
    """The first word of every line, each once: how data sets list the images of a split."""
    if not path.is_file():
        raise ValueError(f"{path}: no such list")
    lines = path.read_text(encoding="utf-8").splitlines()
    names = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
    if not names:
        raise ValueError(f"{path}: the split is empty, expected a name a line")
    return names


def named_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones are left out."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
