"""DAVIS, the trees of 2016 and of 2017: sequences with object ids in every frame.

root/JPEGImages/<resolution>/<sequence>/00000.jpg
root/Annotations/<resolution>/<sequence>/00000.png
root/ImageSets/<2017, 2016 or the resolution>/<split>.txt
root/Scribbles/<sequence>/001.json
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import ClipFolders, ClipTree, read_names

Year = Literal["2016", "2017"]
RESOLUTION = "480p"  # of the lists of the first release, and of frames if none is asked for


def davis_sequences(
    root: Path,
    *,
    names: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = RESOLUTION,
    year: Year | None = None,
    complete: bool = True,
) -> list[ClipFolders]:
    """The sequences named, or those of the split.

    Args:
      year: the edition. "2016" joins all objects of a frame into one; None takes the list of 2017,
        or else of 2016, and the objects as they are annotated.
      complete: whether every frame must have a mask.

    Raises ValueError if the split has no list.
    """
    if names is None:
        names = _read_list(find_list(root, split, resolution=resolution, year=year))
    frames, masks = (root / part / resolution for part in ("JPEGImages", "Annotations"))
    labels = partial(read_ids, joined=year == "2016")
    return [ClipFolders(name, frames / name, masks / name, labels, complete) for name in names]


def find_list(
    root: Path, split: str, *, resolution: str = RESOLUTION, year: Year | None = None
) -> Path:
    """The file that lists a split; ValueError saying where it was expected.

    Without `year` the list of 2017 is taken before that of 2016: a tree that has both holds the
    annotations of 2017. The first release of 2016 keeps its list under the resolution.
    """
    first = ("2016", resolution, RESOLUTION)
    folders = {"2017": ("2017",), "2016": first, None: ("2017", *first)}[year]
    files = [root / "ImageSets" / folder / f"{split}.txt" for folder in folders]
    for file in files:
        if file.is_file():
            return file
    raise ValueError(f"{root}: no list of the split {split!r}, expected {files[0]}")


def _read_list(file: Path) -> list[str]:
    """Names of sequences: a line each, or `/JPEGImages/480p/bear/00000.jpg ...` of each frame."""
    words = read_names(file)
    return list(dict.fromkeys(word.split("/")[-2] if "/" in word else word for word in words))


class Davis2016(ClipTree):
    """30 training and 20 validation sequences, one object in every frame.

    In a tree of DAVIS-2017 that is the union of its objects.
    """

    name = "davis2016"
    source = (
        "DAVIS-data.zip from davischallenge.org/davis2016/code.html or DAVIS-2017-trainval-480p.zip"
        " from davischallenge.org/davis2017/code.html: JPEGImages/480p/SEQUENCE/00000.jpg, "
        "Annotations/480p/SEQUENCE/00000.png, ImageSets/480p/train.txt or ImageSets/2016/train.txt."
    )
    roots = ("", "DAVIS")
    parts = ("JPEGImages", "Annotations", "ImageSets")
    splits = {"train": "ImageSets/2016/train.txt", "val": "ImageSets/2016/val.txt"}
    resolution = RESOLUTION

    def lists(self, root: Path) -> dict[str, Path]:
        """As in DAVIS-2017's tree, else as in the tree of 2016."""
        first = {s: root / "ImageSets" / RESOLUTION / f"{s}.txt" for s in self.splits}
        return {s: file for s, file in first.items() if file.is_file()} | super().lists(root)

    def clips(self, root: Path, listed: Path, resolution: str) -> list[ClipFolders]:
        names = _read_list(listed)
        return davis_sequences(root, names=names, resolution=resolution, year="2016")


class Davis2017(ClipTree):
    """60 training and 30 validation sequences of several objects, with human scribbles.

    `test-dev` has masks of the first frames only.
    """

    name = "davis2017"
    source = (
        "DAVIS-2017-trainval-480p.zip, DAVIS-2017-test-dev-480p.zip and, for the scribbles, "
        "DAVIS-2017-scribbles-trainval.zip from davischallenge.org/davis2017/code.html: "
        "JPEGImages/480p/SEQUENCE/00000.jpg, Annotations/480p/SEQUENCE/00000.png, "
        "ImageSets/2017/train.txt, Scribbles/SEQUENCE/001.json."
    )
    roots = ("", "DAVIS")
    parts = ("JPEGImages", "Annotations", "ImageSets/2017")
    splits = {s: f"ImageSets/2017/{s}.txt" for s in ("train", "val", "test-dev")}
    resolution = RESOLUTION
    scribbled = True

    def clips(self, root: Path, listed: Path, resolution: str) -> list[ClipFolders]:
        names, complete = _read_list(listed), listed.stem != "test-dev"
        return davis_sequences(root, names=names, resolution=resolution, complete=complete)

    def scribbles(self, root: Path, name: str) -> list[str]:
        """`Scribbles/SEQUENCE/*.json` as they are; none without them."""
        files = sorted((root / "Scribbles" / name).glob("*.json"))
        return [_scribble_text(file, name) for file in files]


def _scribble_text(file: Path, sequence: str) -> str:
    """The text of a file of scribbles, checked to be one of this sequence."""
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text)
        described = found["sequence"] if found["scribbles"] is not None else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not a file of scribbles ({error!r})") from error
    if described != sequence:
        raise ValueError(f"{file}: scribbles of {described!r}, expected {sequence!r}")
    return text
