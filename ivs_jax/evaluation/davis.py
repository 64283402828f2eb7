"""Sequences on disk, frames with object ids each: the DAVIS layout, or a pair of folders.

root/JPEGImages/<resolution>/<sequence>/00000.jpg
root/Annotations/<resolution>/<sequence>/00000.png
root/ImageSets/<2017, 2016 or the resolution>/<split>.txt
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ivs_jax.io import MaskWarning, read_mask
from ivs_jax.io.images import list_images, natural_key

Year = Literal["2016", "2017"]


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
    resolution: str = "480p",
    year: Year | None = None,
) -> list[DavisSequence]:
    """Finds the sequences named, or those of the split, and checks that their files are there.

    `year` is the edition: "2016" joins all objects of a frame into one, None takes the list of
    2017, or else of 2016, and the objects as they are annotated.
    Raises ValueError naming what is absent: the split's list, a sequence, the annotation of a
    frame; and for sequences of fewer than 3 frames (first and last are not scored).
    """
    root = Path(root)
    names = sequences or read_split(root, split, resolution=resolution, year=year)
    frames, masks = (root / part / resolution for part in ("JPEGImages", "Annotations"))
    return [_sequence(name, frames / name, masks / name, year == "2016") for name in names]


def open_pair(
    frames: str | Path,
    annotations: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    joined: bool = False,
) -> list[DavisSequence]:
    """The sequences of two folders, which hold either files (one sequence) or folders of the same
    names, one a sequence. A frame and its annotation have the same stem. `joined`: all objects of
    a frame are one.

    Raises ValueError as `open_davis` does.
    """
    frames, annotations = Path(frames), Path(annotations)
    return [
        _sequence(name, frames if folder == annotations else frames / name, folder, joined)
        for name, folder in sequence_folders(annotations, sequences).items()
    ]


def sequence_folders(root: Path, names: Sequence[str] | None = None) -> dict[str, Path]:
    """Name -> folder: the folders in `root`, or `root` itself under its name if there are none.

    In natural order, or `names` in theirs. Raises ValueError for a folder that is not there.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder, expected one of masks or of sequences")
    inside = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    inside.sort(key=lambda path: natural_key(path.name))
    found = {path.name: path for path in inside} or {root.resolve().name: root}
    for name in names or ():
        if name not in found:
            raise ValueError(f"{root}: no sequence {name!r}, found {', '.join(list(found)[:5])}")
    return {name: found[name] for name in names or found}


def read_split(
    root: Path, split: str, *, resolution: str = "480p", year: Year | None = None
) -> list[str]:
    """Names of a split. Lines may be names, or DAVIS-2016's `/JPEGImages/480p/bear/00000.jpg ...`.

    Without `year` the list of 2017 is taken before that of 2016: a tree that has both holds the
    annotations of 2017. The first release of 2016 keeps its list under the resolution.
    """
    folders = {"2017": ("2017",), "2016": ("2016", resolution), None: ("2017", "2016", resolution)}
    files = [root / "ImageSets" / folder / f"{split}.txt" for folder in folders[year]]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ValueError(f"{root}: no list of the split {split!r}, expected {files[0]}")
    lines = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
    names = [line.split("/")[-2] if "/" in line else line for line in lines]
    if not names:
        raise ValueError(f"{file}: names no sequence")
    return list(dict.fromkeys(names))


def read_objects(
    path: Path, size: tuple[int, int] | None = None, *, joined: bool = False
) -> np.ndarray:
    """Object ids `[H, W]` uint8 of an annotation, by the rules of `io.read_mask`.

    255 beside other ids is void and read as background, as in the semi-supervised protocol. With
    `joined` every object has the id 1.
    Raises ValueError for unreadable files, a size other than `size` (H, W), and colours of no known
    palette: their ids would be a guess that may differ from frame to frame.
    """
    with guesses_refused():
        labels = read_mask(path, size=size)
    return (labels > 0).astype(np.uint8) if joined else labels


@contextmanager
def guesses_refused() -> Iterator[None]:
    """Turns the warning about guessed ids into a ValueError.

    What warnings do is a setting of the process, and `read_objects` in several threads would undo
    it for each other: put this around the threads, too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        try:
            yield
        except MaskWarning as warning:
            raise ValueError(str(warning)) from warning


def _sequence(name: str, frames: Path, masks: Path, joined: bool) -> DavisSequence:
    for folder in (frames, masks):
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder, expected the sequence {name!r}")
    files = tuple(masks / f"{image.stem}.png" for image in list_images(frames))
    if len(files) < 3:
        raise ValueError(f"{frames}: {len(files)} frames, expected at least 3")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{masks}: no {missing[0]} ({len(missing)} of {len(files)} missing)")
    return DavisSequence(name, frames, files, joined)
