"""Still images with instance masks, held in memory: `images/` beside `masks/` folders."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

VOID = 255
SUFFIXES = (".jpg", ".jpeg", ".png")


class Still(NamedTuple):
    """One image.

    Attributes:
      image: `[H, W, 3]` uint8.
      labels: `[H, W]` uint8 instance ids, 0 = background, 255 = void.
      source: name of the set, for sampling weights.
    """

    image: np.ndarray
    labels: np.ndarray
    source: str


def read_still(image: Path, mask: Path, *, source: str) -> Still:
    """Reads one pair; ValueError naming the file if one is unreadable or the sizes differ.

    The mask is a palette or grey PNG whose values are instance ids.
    """
    (_, pixels), (mode, labels) = _read(image, rgb=True), _read(mask)
    if mode not in ("P", "L"):
        raise ValueError(f"{mask}: mask has the mode {mode}, expected P (palette) or L (grey)")
    if pixels.shape[:2] != labels.shape:
        raise ValueError(f"{mask}: mask is {labels.shape}, its image {image} is {pixels.shape[:2]}")
    return Still(pixels, labels, source)


def _read(path: Path, *, rgb: bool = False) -> tuple[str, np.ndarray]:
    try:
        with Image.open(path) as opened:
            return opened.mode, np.asarray(opened.convert("RGB") if rgb else opened)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error


def load_stills(folder: Path, *, source: str | None = None) -> list[Still]:
    """All pairs of `folder/images` and `folder/masks`, matched by stem, in sorted order.

    Raises ValueError if a folder is missing or empty, or an image has no mask.
    """
    masks = {path.stem: path for path in sorted((folder / "masks").glob("*.png"))}
    images = sorted(p for p in (folder / "images").glob("*") if p.suffix in SUFFIXES)
    if not images:
        raise ValueError(f"{folder / 'images'}: no JPEG or PNG image found")
    missing = [p.name for p in images if p.stem not in masks]
    if missing:
        raise ValueError(f"{folder / 'masks'}: no mask for {missing[0]} ({len(missing)} in all)")
    return [read_still(p, masks[p.stem], source=source or folder.name) for p in images]


def instance_ids(labels: np.ndarray, *, min_area: int) -> list[int]:
    """Ids of the instances of `labels` `[H, W]` that cover at least `min_area` pixels."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return [i for i in range(1, VOID) if counts[i] >= min_area]


def usable(stills: Iterable[Still], *, min_area: int = 150) -> list[Still]:
    """The stills that have at least one instance of `min_area` pixels."""
    return [s for s in stills if instance_ids(s.labels, min_area=min_area)]
