"""Any folder of `images/` beside `masks/`, matched by stem: your own, saliency sets.

`<name>#1.png`, `<name>#2.png`, ... are several masks of the image `<name>`: a record each.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ivs_jax.data.layouts.masks import VOID, read_ids, read_values
from ivs_jax.data.layouts.tree import StillFiles, StillTree

IMAGES, MASKS = "images", "masks"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_TRIMAP, _UNKNOWN = {0, 64, 128, 255}, 128  # greys of GrabCut's masks, and which is ignored


class ImageFolder(StillTree):
    """A mask holds ids with 255 for void, or 0 and 255 for one object."""

    name = "images"
    source = (
        "a folder of your own: images/NAME.jpg and masks/NAME.png, whose values are instance ids "
        "(255 void), or 0 and 255. Give the set a name with --name."
    )
    parts = (IMAGES, MASKS)
    splits = {"train": IMAGES}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / MASKS, read_ids)


class Saliency(ImageFolder):
    """A mask is grey, its borders may be smooth: from 128 on is the object."""

    name = "saliency"
    source = (
        "a saliency set (DUTS, MSRA10K, ECSSD, ...): images/NAME.jpg and masks/NAME.png, grey "
        "masks whose upper half is the object. Give the set a name with --name."
    )

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / MASKS, _upper_half)


class SingleObjects(ImageFolder):
    """A mask is one object: the reading of click benchmarks, see `read_single`."""

    name = "masks"

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / MASKS, read_single)


def image_folder(folder: Path) -> list[StillFiles]:
    """The pairs of `folder/images` and `folder/masks`; masks of other images are left out.

    Raises ValueError if a folder is missing or empty, or an image has no mask.
    """
    for part in (folder / IMAGES, folder / MASKS):
        if not part.is_dir():
            raise ValueError(f"{part}: no such folder, expected images/ and masks/ of one name")
    found = [
        one for one in paired(folder / IMAGES, folder / MASKS, read_ids) if one.image.is_file()
    ]
    if not found:
        raise ValueError(f"{folder / IMAGES}: no image found, expected {' '.join(_SUFFIXES)}")
    if lost := [one.lost() for one in found if not one.mask.is_file()]:
        raise ValueError(f"{lost[0]} ({len(lost)} in all)")
    return found


def paired(images: Path, masks: Path, labels: Callable[[Path], np.ndarray]) -> list[StillFiles]:
    """Images and masks of the same stem in the order of the masks' names, read by `labels`.

    Those without a partner are there too, with the place where it was expected.
    """
    image_of, mask_of = _by_stem(images), _by_stem(masks)
    owner = {name: name if name in image_of else name.rpartition("#")[0] for name in mask_of}
    alone = image_of.keys() - owner.values()
    found = []
    for name in sorted(mask_of.keys() | alone):
        image = image_of.get(owner.get(name, name), images / f"{name}.jpg")
        mask = mask_of.get(name, masks / f"{name}.png")
        found.append(StillFiles(name, image, mask, partial(labels, mask)))
    return found


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their stem; hidden ones are left out."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        if path.name.startswith(".") or path.suffix.lower() not in _SUFFIXES:
            continue
        if path.stem in found:
            raise ValueError(f"{path}: same name as {found[path.stem].name}, expected one a name")
        found[path.stem] = path
    return found


def read_single(path: Path) -> np.ndarray:
    """The one object of a mask file as id 1, the rule taken from the values themselves.

    {0, v}: v is the object. Greys of {0, 64, 128, 255} with a 128: above 128 is the object, 128
    void (GrabCut). {0, 1, 255}: 1 is the object, 255 void (VOC). Anything else, such as a map of
    instance ids, is an error: which object is meant would be a guess.
    """
    try:
        values = read_values(path)
    except ValueError as error:
        raise ValueError(f"{error}; {_WHICH_FLAG}") from error
    found = set(np.unique(values).tolist())
    if _UNKNOWN in found and found <= _TRIMAP:
        return np.where(values == _UNKNOWN, VOID, values > _UNKNOWN)
    if found - {0} == {1, VOID}:
        return values
    if len(found - {0}) > 1:
        shown = ", ".join(str(value) for value in sorted(found)[:6])
        raise ValueError(
            f"{path}: expected one object (0 and one value), found values {shown}; {_WHICH_FLAG}"
        )
    return (values > 0).astype(np.uint8)


_WHICH_FLAG = (
    "if they are instance ids, ask for each as an object (--instances); if the set is Berkeley, "
    "say so (--layout berkeley: above 128 is the object)"
)


def _upper_half(path: Path) -> np.ndarray:
    return (read_values(path) >= 128).astype(np.uint8)
