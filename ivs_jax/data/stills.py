"""Still images with instance masks: what a still is, how files become one, sets of them."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, SupportsIndex, overload

import numpy as np
from PIL import Image

from ivs_jax.data.layouts.masks import VOID
from ivs_jax.data.layouts.tree import StillFiles

Stored = Path | bytes  # an image file, or its content


class Still(NamedTuple):
    """One image.

    Attributes:
      image: `[H, W, 3]` uint8.
      labels: `[H, W]` uint8 instance ids 0..254, 0 = background, 255 = void.
      source: name of the set.
    """

    image: np.ndarray
    labels: np.ndarray
    source: str


def decode_image(stored: Stored, where: object) -> np.ndarray:
    """The pixels `[H, W, 3]` uint8. ValueError naming `where` if it is no whole image."""
    return _decode(stored, where, rgb=True)[1]


def decode_labels(stored: bytes, where: object) -> np.ndarray:
    """The ids `[H, W]` uint8 of a palette or grey PNG. ValueError naming `where` for others."""
    mode, labels = _decode(stored, where)
    if mode not in ("P", "L"):
        raise ValueError(f"{where}: mask has the mode {mode}, expected P (palette) or L (grey)")
    return labels


def _decode(stored: Stored, where: object, *, rgb: bool = False) -> tuple[str, np.ndarray]:
    try:
        with Image.open(BytesIO(stored) if isinstance(stored, bytes) else stored) as opened:
            return opened.mode, np.asarray(opened.convert("RGB") if rgb else opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{where}: cannot be read ({error})") from error


def read_still(files: StillFiles, *, source: str) -> Still:
    """Reads one pair; ValueError naming the file if one is unreadable or the sizes differ."""
    pixels, labels = decode_image(files.image, files.image), files.labels()
    if pixels.shape[:2] != labels.shape:
        sizes = f"mask is {labels.shape}, its image {files.image} is {pixels.shape[:2]}"
        raise ValueError(f"{files.mask}: {sizes}")
    return Still(pixels, labels, source)


class StillSet(Sequence[Still]):
    """What every set of stills is: random access by number, in a fixed order.

    With `cached` every image that was read once stays in memory, decoded: for sets that fit.
    Copies in other processes start empty.
    """

    def __init__(self, name: str, *, cached: bool = False) -> None:
        self.name = name
        self._cache: dict[int, Still] | None = {} if cached else None

    def read(self, index: int) -> Still:
        """Reads the still of a number from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: SupportsIndex) -> Still: ...
    @overload
    def __getitem__(self, index: slice) -> list[Still]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Still | list[Still]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if self._cache is None:
            return self.read(number)
        if number not in self._cache:
            self._cache[number] = self.read(number)
        return self._cache[number]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_cache": None if self._cache is None else {}}


class FileStills(StillSet):
    """Stills of a published tree or a folder. Only names are looked at on opening."""

    def __init__(self, name: str, files: Sequence[StillFiles], *, cached: bool = False) -> None:
        super().__init__(name, cached=cached)
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def read(self, index: int) -> Still:
        return read_still(self._files[index], source=self.name)


def instance_ids(labels: np.ndarray, *, min_area: int, min_fill: float = 0.0) -> list[int]:
    """Ids of the instances of `labels` `[H, W]` that cover at least `min_area` pixels.

    Those that fill less than `min_fill` of their bounding box are left out (f-BRS;
    experiments/papers/brs.md, section B7).
    """
    counts = np.bincount(labels.ravel(), minlength=256)
    ids = [i for i in range(1, VOID) if counts[i] >= min_area]
    return [i for i in ids if min_fill <= 0 or _fill(labels == i, counts[i]) >= min_fill]


def _fill(mask: np.ndarray, area: int) -> float:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return area / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
