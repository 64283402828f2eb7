"""Images and masks as the encoded bytes that records hold, checked to their last byte.

A rule turns the values of a mask file, `[H, W]` int32, into ids: 0 background, 1..254 objects, 255
void. Where the rule changes nothing, the file is stored as it is.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ivs_jax.data.files import index_values, read_image
from ivs_jax.data.stills import VOID
from ivs_jax.io.images import to_rgb

Rule = Callable[[np.ndarray], np.ndarray]
Size = tuple[int, int]

UNKNOWN_GREY = 128  # GrabCut, Berkeley (experiments/papers/evaluation.md, section 1.3)


def ids(values: np.ndarray) -> np.ndarray:
    """Values are ids, 255 is void."""
    return values


def ids_or_binary(values: np.ndarray) -> np.ndarray:
    """As `ids`, but 0 and 255 alone are a binary mask: object 1."""
    binary = set(np.unique(values).tolist()) - {0} == {VOID}
    return union(values) if binary else values


def union(values: np.ndarray) -> np.ndarray:
    """All that is not 0 is object 1."""
    return values if values.max() <= 1 else (values > 0).astype(np.int32)


def trimap(values: np.ndarray) -> np.ndarray:
    """Above 128 is object 1, 128 is void."""
    return np.where(values == UNKNOWN_GREY, VOID, values > UNKNOWN_GREY).astype(np.int32)


def upper_half(values: np.ndarray) -> np.ndarray:
    """From 128 on is object 1: saliency masks have smoothed or lossy borders."""
    return (values >= 128).astype(np.int32)


def image_bytes(path: Path) -> tuple[bytes, Size]:
    """A JPEG or PNG file as it is, any other image as PNG; and its size `(H, W)`.

    Raises ValueError naming the file if it is missing, no image, or torn.
    """
    try:
        data = path.read_bytes()
        with Image.open(BytesIO(data)) as image:
            size = image.height, image.width
            if image.format not in ("JPEG", "PNG"):
                return png(to_rgb(image)), size
            image.draft(None, (1, 1))  # a JPEG is read to its end, at an eighth of the work
            image.load()
            return data, size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def mask_bytes(path: Path, size: Size, rule: Rule) -> tuple[bytes, bool]:
    """A mask file as PNG of ids, and whether it has an object.

    Raises ValueError naming the file if it is missing, torn, coloured, not of `size` (H, W), the
    size of its image, or has ids above 255.
    """
    image = read_image(path)
    values = index_values(image, path)
    labels = rule(values)
    data, has_object = label_bytes(labels, path, size)
    if labels is values and image.mode in ("P", "L") and path.suffix == ".png":
        data = path.read_bytes()
    return data, has_object


def label_bytes(labels: np.ndarray, where: object, size: Size) -> tuple[bytes, bool]:
    """Ids `[H, W]` as grey PNG, and whether one is an object; a ValueError starts with `where`."""
    if labels.shape != size:
        raise ValueError(f"{where}: the mask is {labels.shape}, its image is {size} (H, W)")
    if labels.min() < 0 or labels.max() > VOID:
        raise ValueError(
            f"{where}: ids {labels.min()}..{labels.max()}, expected 0..254 and 255 for void"
        )
    return png(labels.astype(np.uint8)), bool(((labels > 0) & (labels < VOID)).any())


def png(array: np.ndarray) -> bytes:
    """`[H, W]` or `[H, W, 3]` uint8 as a PNG."""
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
