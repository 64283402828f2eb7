"""Click benchmarks on disk: a folder of images and a folder of masks, one object a mask."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from PIL import Image

from ivs_jax.io.images import to_rgb

LAYOUTS = (("images", "masks"), ("data_GT", "boundary_GT"))  # common; GrabCut as published
IGNORE_GREY, KNOWN_GREYS = 128, {0, 64, 128, 255}


class ClickSample(NamedTuple):
    """One object to click.

    Attributes:
      name: unique within the data set.
      image: `[H, W, 3]` uint8 RGB.
      mask: `[H, W]` bool, the object.
      ignore: `[H, W]` bool, pixels that count neither way, or None.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    ignore: np.ndarray | None = None


class ClickDataset(Sequence[ClickSample]):
    """Samples of a folder, read when indexed. `names` are the file stems in sorted order.

    `skipped` lists `(name, reason)` of images without a mask and masks without an image.
    """

    def __init__(
        self, name: str, pairs: dict[str, tuple[Path, Path]], skipped: Sequence[tuple[str, str]]
    ) -> None:
        self.name, self._pairs, self.skipped = name, pairs, tuple(skipped)
        self.names = tuple(sorted(pairs))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> ClickSample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ClickSample]: ...
    def __getitem__(self, index: int | slice) -> ClickSample | Sequence[ClickSample]:
        if isinstance(index, slice):
            kept = {name: self._pairs[name] for name in self.names[index]}
            return ClickDataset(self.name, kept, ())
        image, mask = self._pairs[self.names[index]]
        return ClickSample(self.names[index], to_rgb(_read(image)), *read_click_mask(mask))

    def __iter__(self) -> Iterator[ClickSample]:
        return (self[i] for i in range(len(self)))


def open_click_dataset(folder: str | Path) -> ClickDataset:
    """Opens `folder/images` + `folder/masks` (or GrabCut's `data_GT` + `boundary_GT`).

    Image and mask belong together by file stem. The mask rule is that of `read_click_mask`.
    Raises ValueError naming the folder when it is absent, has no such folders or no pair.
    """
    folder = Path(folder)
    for layout in LAYOUTS:
        images, masks = (folder / part for part in layout)
        if images.is_dir() and masks.is_dir():
            break
    else:
        raise ValueError(f"{folder}: expected folders images/ and masks/, found {_listing(folder)}")
    image_of, mask_of = _by_stem(images), _by_stem(masks)
    pairs = {stem: (image_of[stem], mask_of[stem]) for stem in image_of.keys() & mask_of.keys()}
    if not pairs:
        raise ValueError(
            f"{folder}: no image with a mask of the same name, found {len(image_of)} images "
            f"and {len(mask_of)} masks"
        )
    skipped = [(stem, "image without mask") for stem in sorted(image_of.keys() - mask_of.keys())]
    skipped += [(stem, "mask without image") for stem in sorted(mask_of.keys() - image_of.keys())]
    return ClickDataset(folder.resolve().name, pairs, skipped)


def read_click_mask(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads `(object, ignore)`, both `[H, W]` bool, ignore None where nothing is ignored.

    Two values {0, v}: v is the object. Greys of {0, 64, 128, 255} with a 128: above 128 is the
    object, 128 is ignored (GrabCut, Berkeley). Anything else, such as a map of instance ids, is a
    ValueError: which object is meant would be a guess.
    """
    file = _read(Path(path))
    grey = np.asarray(file) if file.mode in ("1", "L", "P") else to_rgb(file)
    if grey.ndim == 3:
        if (grey != grey[..., :1]).any():
            raise ValueError(f"{path}: expected a grey or index mask, found colours")
        grey = grey[..., 0]
    grey = grey.astype(np.uint8)
    values = set(np.unique(grey).tolist())
    if IGNORE_GREY in values and values <= KNOWN_GREYS:
        return grey > IGNORE_GREY, grey == IGNORE_GREY
    if len(values - {0}) > 1:
        found = ", ".join(str(value) for value in sorted(values)[:6])
        raise ValueError(f"{path}: expected one object (0 and one value), found values {found}")
    return grey > 0, None


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            file.load()
            return file.copy()
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise ValueError(f"{path}: same name as {found[path.stem].name}, expected one a name")
        found[path.stem] = path
    return found


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    return ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "an empty folder"
