"""Mask images: read whatever users have, write palette PNG, one PNG per object, and cut-outs."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..types import MAX_OBJECT_ID
from .atomic import atomic
from .errors import MaskError
from .palette import davis_palette

VOID = 255
_BLACK = 0


class MaskWarning(UserWarning):
    """A mask was read by a rule that the user should know about."""


def read_mask(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    guess: bool = True,
    void: int = _BLACK,
) -> np.ndarray:
    """Reads a mask image as uint8 `[H, W]` object ids (1..254, 0 = background).

    Palette images: the index is the id, whatever the colours (unless black, the background, is in
    use but not at index 0: then by colour as below). Grey images: the level is the id; 0 and the
    highest level alone are a binary mask, id 1. In both, 255 is void when other ids exist and
    becomes `void`. Colour images: colours of the DAVIS/VOC palette become their ids; others are
    numbered 1, 2, ... by ascending (R, G, B) so that the masks of one video agree, with black (if
    absent: the most frequent colour) as background and a MaskWarning that lists them, or refused
    without `guess`. Transparent pixels of colour images are background.

    Raises MaskError if the file is missing or damaged, is not `size` (H, W), has ids above 255, or
    was smoothed or lossily compressed, so that its values are no longer one per object.
    """
    path = Path(path)
    image = _load(path)
    if size is not None and (image.height, image.width) != tuple(size):
        raise MaskError(
            f"{path}: the mask is {image.width}x{image.height}, expected {size[1]}x{size[0]} "
            "(width x height)"
        )
    if image.mode == "P" and not _shuffled(image):
        indices = np.asarray(image)
        if not _is_davis(image):
            _check_crisp(path, indices, "palette indices")
        return _from_levels(path, indices, top=VOID, void=void)
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I"):
        return _read_grey(path, image, void)
    return _read_colours(path, np.asarray(image.convert("RGBA")), guess, void)


def write_palette_png(path: str | os.PathLike[str], labels: np.ndarray) -> None:
    """Writes `[H, W]` ids 0..254 as an indexed PNG with the DAVIS palette; index = id. Atomic."""
    with atomic(path) as temporary:
        palette_image(labels).save(temporary, format="PNG")


def palette_image(labels: np.ndarray) -> Image.Image:
    """`[H, W]` ids 0..254 as a Pillow image of mode P with the DAVIS palette."""
    image = Image.fromarray(check_labels(labels))
    image.putpalette(davis_palette().tobytes())
    return image


def write_object_pngs(
    folder: str | os.PathLike[str], stem: str, labels: np.ndarray, objects: Sequence[int]
) -> list[Path]:
    """Writes a 0/255 PNG for each object: `folder/001/stem.png`, one folder (sequence) an object.

    Objects that are not in `labels` `[H, W]` give an all-zero PNG, so that every sequence has every
    frame. Returns the paths in the order of `objects`.
    """
    labels = check_labels(labels)
    paths = []
    for obj in objects:
        path = Path(folder) / f"{obj:03d}" / f"{stem}.png"
        with atomic(path) as temporary:
            mask = np.where(labels == obj, 255, 0).astype(np.uint8)
            Image.fromarray(mask).save(temporary, format="PNG")
        paths.append(path)
    return paths


def write_rgba(path: str | os.PathLike[str], image: np.ndarray, mask: np.ndarray) -> None:
    """Writes a cut-out: `image` uint8 `[H, W, 3]` with `mask` as straight alpha, PNG. Atomic.

    `mask` `[H, W]` is bool, or float in [0, 1] for soft alpha. Colours outside stay in the file.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype}{list(image.shape)}, expected uint8 [H, W, 3]")
    if mask.shape != image.shape[:2]:
        raise ValueError(f"mask is {list(mask.shape)}, expected {list(image.shape[:2])}")
    alpha = np.asarray(mask, np.float32)
    if not (np.isfinite(alpha).all() and 0 <= alpha.min() and alpha.max() <= 1):
        raise ValueError(f"mask has values {alpha.min()}..{alpha.max()}, expected bool or 0..1")
    rgba = np.dstack([image, np.rint(alpha * 255).astype(np.uint8)])
    with atomic(path) as temporary:
        Image.fromarray(rgba).save(temporary, format="PNG")


def check_labels(labels: np.ndarray) -> np.ndarray:
    """`[H, W]` integer or bool ids 0..254 as uint8. Raises ValueError for anything else."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "bui":
        raise ValueError(f"labels are {labels.dtype}{list(labels.shape)}, expected integer [H, W]")
    if labels.min() < 0 or labels.max() > MAX_OBJECT_ID:
        raise ValueError(
            f"labels have ids {labels.min()}..{labels.max()}, expected 0..{MAX_OBJECT_ID}"
        )
    return labels.astype(np.uint8)


def _load(path: Path) -> Image.Image:
    if not path.is_file():
        raise MaskError(f"{path}: no such mask file")
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MaskError(f"{path}: not a readable mask image ({error})") from error


def _colours(image: Image.Image) -> np.ndarray:
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return np.concatenate([colours, np.zeros((256 - len(colours), 3), np.uint8)])


def _is_davis(image: Image.Image) -> bool:
    used = np.unique(np.asarray(image))
    return bool((_colours(image)[used] == davis_palette()[used]).all())


def _shuffled(image: Image.Image) -> bool:
    """True if an optimiser has reordered the palette: black is in use, but index 0 is not black."""
    colours = _colours(image)
    return bool(colours[0].any()) and not colours[np.unique(np.asarray(image))].any(axis=1).all()


def _read_grey(path: Path, image: Image.Image, void: int) -> np.ndarray:
    if image.mode == "LA":
        image = image.convert("L")
    levels = np.asarray(image).astype(np.int64)
    _check_crisp(path, levels, "grey levels")
    top = 65535 if image.mode.startswith("I") else VOID
    return _from_levels(path, levels, top=top, void=void)


def _from_levels(path: Path, levels: np.ndarray, *, top: int, void: int) -> np.ndarray:
    """Ids from indices or grey levels: binary masks, void, range."""
    found = np.unique(levels)
    if found[-1] in (VOID, top) and set(found[:-1].tolist()) <= {0}:
        return (levels > 0).astype(np.uint8)
    if found[-1] > VOID:
        raise MaskError(
            f"{path}: ids up to {found[-1]}, expected at most {MAX_OBJECT_ID} (255 void)"
        )
    return np.where(levels == VOID, void, levels).astype(np.uint8)


def _read_colours(path: Path, rgba: np.ndarray, guess: bool, void: int) -> np.ndarray:
    rgb = np.where(rgba[..., 3:] > 0, rgba[..., :3], 0).astype(np.int64)
    codes = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    colours, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    index = index.reshape(codes.shape)
    _check_crisp(path, index, "colours")
    if len(colours) > VOID:
        raise MaskError(f"{path}: {len(colours)} colours, expected one for each of <= 254 objects")
    if all(c >> 16 == c >> 8 & 255 == c & 255 for c in colours):
        return _from_levels(path, rgb[..., 0], top=VOID, void=void)
    palette = davis_palette().astype(np.int64)
    known = {int(p[0] << 16 | p[1] << 8 | p[2]): i for i, p in enumerate(palette)}
    if all(int(c) in known for c in colours):
        ids = np.array([known[int(c)] for c in colours])
        return _from_levels(path, ids[index], top=VOID, void=void)
    ground = _BLACK if _BLACK in colours else int(colours[counts.argmax()])
    ids = np.zeros(len(colours), np.uint8)
    ids[colours != ground] = np.arange(1, len(colours))
    listed = ", ".join(f"#{int(c):06x} -> {i}" for c, i in zip(colours, ids, strict=True))
    what = f"{path}: not the DAVIS palette"
    if not guess:
        raise MaskError(f"{what}; by value its colours would be the ids: {listed}")
    warnings.warn(MaskWarning(f"{what}; colours became ids by value: {listed}"), stacklevel=3)
    return ids[index]


def _check_crisp(path: Path, values: np.ndarray, what: str) -> None:
    """Refuses smoothed and lossy masks: most values then occur on thin borders only.

    A value is solid if it fills a 2 x 2 block somewhere. Objects are solid unless tiny, the values
    that smoothing makes between two objects are not.
    """
    found = np.unique(values)
    corner = values[1:, 1:]
    solid = np.ones(corner.shape, bool)
    for other in (values[:-1, 1:], values[1:, :-1], values[:-1, :-1]):
        solid &= corner == other
    thin = len(found) - len(np.unique(corner[solid]))
    if thin >= 3 and thin > len(found) - thin:
        raise MaskError(
            f"{path}: {len(found)} {what}, {thin} of them only on thin borders: a smoothed "
            "(anti-aliased) or lossy mask, expected one value per object; save it as PNG without "
            "smoothing, resize it with nearest neighbour, or threshold it to 0 and 255"
        )
