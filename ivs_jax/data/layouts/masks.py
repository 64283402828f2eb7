"""What most trees have in common about mask files; every error is a ValueError naming the file."""

from pathlib import Path

import numpy as np
from PIL import Image

from ivs_jax.io.images import to_rgb
from ivs_jax.io.masks import VOID, read_mask

__all__ = ["VOID", "join_objects", "read_ids", "read_image", "read_values"]


def read_ids(
    path: Path, *, size: tuple[int, int] | None = None, void: int = VOID, joined: bool = False
) -> np.ndarray:
    """Ids `[H, W]` uint8 of a mask of objects, by the rules of `io.read_mask`.

    Palette indices, grey levels and the colours of the DAVIS palette are ids; 255 beside other ids
    is void, read as `void`; 0 and 255 alone are a mask of object 1. With `joined` every object has
    the id 1.

    Raises ValueError for unreadable files, a size other than `size` (H, W), and colours of no known
    palette: their ids would be a guess that may differ from frame to frame.
    """
    ids = read_mask(path, size=size, guess=False, void=void)
    return join_objects(ids) if joined else ids


def join_objects(ids: np.ndarray) -> np.ndarray:
    """`ids` with every object as object 1; void stays."""
    return np.where(ids == VOID, VOID, ids > 0).astype(np.uint8)


def read_image(path: Path) -> Image.Image:
    """The decoded file."""
    try:
        with Image.open(path) as file:
            file.load()
            return file.copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def read_values(path: Path) -> np.ndarray:
    """The stored values of a grey or palette image, `[H, W]` int32."""
    image = read_image(path)
    values = np.asarray(image)
    if values.ndim == 3:
        values = to_rgb(image)
        if (values != values[..., :1]).any():
            raise ValueError(f"{path}: expected a grey or index mask, found colours")
        values = values[..., 0]
    return values.astype(np.int32)
