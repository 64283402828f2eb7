"""Clips in the folder layout of DAVIS, held in memory for training."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.data.stills import read_still


class Clip(NamedTuple):
    """One sequence: `frames` `[T, H, W, 3]` uint8 and `labels` `[T, H, W]` uint8 object ids."""

    name: str
    frames: np.ndarray
    labels: np.ndarray


def load_clips(root: Path, *, split: str, resolution: str, year: str = "2016") -> list[Clip]:
    """The sequences that `ImageSets/<year>/<split>.txt` names.

    2016's lists name frames (`/JPEGImages/480p/bear/00000.jpg ...`), 2017's sequences: both are
    read. Raises ValueError naming the file or folder that is missing or empty.
    """
    listing = root / "ImageSets" / year / f"{split}.txt"
    if not listing.is_file():
        raise ValueError(f"{listing}: the list of sequences is missing")
    words = [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
    names = dict.fromkeys(Path(w).parent.name if "/" in w else w for w in words)
    if not names:
        raise ValueError(f"{listing}: names no sequence")
    return [_load_clip(root, name, resolution) for name in names]


def _load_clip(root: Path, name: str, resolution: str) -> Clip:
    images = sorted((root / "JPEGImages" / resolution / name).glob("*.jpg"))
    if not images:
        raise ValueError(f"{root / 'JPEGImages' / resolution / name}: no frames found")
    masks = root / "Annotations" / resolution / name
    stills = [read_still(p, masks / f"{p.stem}.png", source=name) for p in images]
    frames, labels = [s.image for s in stills], [s.labels for s in stills]
    for path, frame in zip(images, frames, strict=True):
        if frame.shape != frames[0].shape:
            size, first = frame.shape[:2], frames[0].shape[:2]
            raise ValueError(f"{path}: frame is {size}, the first of its sequence is {first}")
    return Clip(name, np.stack(frames), np.stack(labels))
