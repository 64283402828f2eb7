"""The DAVIS folder layout: sequences of frames with object ids per frame.

root/JPEGImages/<resolution>/<sequence>/00000.jpg
root/Annotations/<resolution>/<sequence>/00000.png
root/ImageSets/<2016 or 2017>/<split>.txt
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.io import MaskWarning, read_mask
from ivs_jax.io.images import list_images

YEARS = ("2016", "2017")


class DavisSequence(NamedTuple):
    """One sequence on disk.

    Attributes:
      name: of the sequence.
      frames: folder of its images.
      annotations: one file per frame, in the order of the frames.
    """

    name: str
    frames: Path
    annotations: tuple[Path, ...]


def open_davis(
    root: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = "480p",
) -> list[DavisSequence]:
    """Finds the sequences named, or those of the split, and checks that their files are there.

    Raises ValueError naming what is absent: the split's list, a sequence, the annotation of a
    frame; and for sequences of fewer than 3 frames (first and last are not scored).
    """
    root = Path(root)
    names = list(sequences) if sequences else read_split(root, split)
    return [_sequence(root, name, resolution) for name in names]


def read_split(root: Path, split: str) -> list[str]:
    """Names of a split. Lines may be names, or DAVIS-2016's `/JPEGImages/480p/bear/00000.jpg ...`.

    The list of 2016 is taken before that of 2017.
    """
    files = [root / "ImageSets" / year / f"{split}.txt" for year in YEARS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ValueError(f"{root}: no list of the split {split!r}, expected {files[0]}")
    lines = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
    names = [line.split("/")[-2] if "/" in line else line for line in lines]
    if not names:
        raise ValueError(f"{file}: names no sequence")
    return list(dict.fromkeys(names))


def read_objects(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Object ids `[H, W]` uint8 of an annotation, by the rules of `io.read_mask`.

    255 beside other ids is void and read as background, as in the semi-supervised protocol.
    Raises ValueError for unreadable files, a size other than `size` (H, W), and colours of no known
    palette: their ids would be a guess that may differ from frame to frame.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        try:
            return read_mask(path, size=size)
        except MaskWarning as warning:
            raise ValueError(str(warning)) from warning


def _sequence(root: Path, name: str, resolution: str) -> DavisSequence:
    frames = root / "JPEGImages" / resolution / name
    masks = root / "Annotations" / resolution / name
    for folder in (frames, masks):
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder, expected the sequence {name!r}")
    files = tuple(masks / f"{image.stem}.png" for image in list_images(frames))
    if len(files) < 3:
        raise ValueError(f"{frames}: {len(files)} frames, expected at least 3")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{masks}: no {missing[0]} ({len(missing)} of {len(files)} missing)")
    return DavisSequence(name, frames, files)
