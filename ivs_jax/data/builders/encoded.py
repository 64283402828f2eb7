"""Images and masks as the encoded bytes that records hold, checked to their last byte."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ivs_jax.data.layouts.masks import VOID
from ivs_jax.io.images import to_rgb

Size = tuple[int, int]


def image_bytes(path: Path) -> tuple[bytes, Size]:
    """A JPEG or PNG file as it is, any other image as PNG; and its size `(H, W)`.

    Raises ValueError naming the file if it is missing, no image, or torn.
    """
    try:
        data = path.read_bytes()
        with Image.open(BytesIO(data)) as image:
            size = image.height, image.width
            if image.format not in ("JPEG", "PNG"):
                return _png(to_rgb(image)), size
            image.draft(None, (1, 1))  # a JPEG is read to its end, at an eighth of the work
            image.load()
            return data, size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def mask_bytes(path: Path, labels: np.ndarray, size: Size) -> tuple[bytes, bool]:
    """The ids `[H, W]` of a mask file as PNG, and whether one is an object.

    A file that holds just these values is taken as it is. Raises ValueError naming the file if the
    ids are not of `size` (H, W), the size of the image, or above 255.
    """
    if labels.shape != size:
        raise ValueError(f"{path}: the mask is {labels.shape}, its image is {size} (H, W)")
    if labels.min() < 0 or labels.max() > VOID:
        raise ValueError(
            f"{path}: ids {labels.min()}..{labels.max()}, expected 0..254 and 255 for void"
        )
    has_object = bool(((labels > 0) & (labels < VOID)).any())
    if path.suffix == ".png":
        with Image.open(path) as image:
            if image.mode in ("P", "L") and np.array_equal(np.asarray(image), labels):
                return path.read_bytes(), has_object
    return _png(labels.astype(np.uint8)), has_object


def _png(array: np.ndarray) -> bytes:
    """`[H, W]` or `[H, W, 3]` uint8 as a PNG."""
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
