"""What users hand in and get out: points, boxes, masks and logits."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ivs_jax.types import BACKGROUND, OBJECT, PADDING

MAX_LOGIT, MIN_LOGIT = 10.0, 1e-3
BOX_MARGIN = 0.1  # of the box, and at least 2 pixels: how far outside the background clicks lie

Size = tuple[int, ...]  # (H, W)


def read_points(
    points: Any, labels: Any, box: Any, size: Size, *, in_pixels: bool = True
) -> list[tuple[float, float, int]]:
    """Points `[N, 2]`, labels `[N]` and a box `[4]`, each or None, as a list of (x, y, label).

    The clicks of the box come first; points with label -1 are left out. Without `in_pixels`, points
    and box are in 0..1 of width and height.
    """
    found = [] if box is None else box_clicks(_scaled("box", box, size, in_pixels), size)
    xy = np.asarray([] if points is None else points, np.float64)
    given = np.asarray([] if labels is None else labels).reshape(-1)
    xy = xy.reshape(0, 2) if xy.size == 0 else xy
    if xy.shape != (len(given), 2):
        raise ValueError(
            f"points are {list(xy.shape)} with {len(given)} labels, expected [N, 2] (x, y) with N"
        )
    if not np.isin(given, (OBJECT, BACKGROUND, PADDING)).all():
        raise ValueError(
            "point labels must be 1 (object), 0 (background) or -1 (padding), "
            f"found {sorted(set(given.tolist()))}"
        )
    real = given != PADDING
    if not np.isfinite(xy[real]).all():
        raise ValueError(f"points must be finite, found {xy[real].tolist()}")
    pairs = _scaled("points", xy[real], size, in_pixels)
    return found + [(x, y, int(k)) for (x, y), k in zip(pairs.tolist(), given[real], strict=True)]


def _scaled(name: str, xy: Any, size: Size, in_pixels: bool) -> np.ndarray:
    """Numbers x, y, x, y, ... in pixels."""
    values = np.asarray(xy, np.float64)
    if in_pixels:
        return values
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"{name} must be in 0..1 with normalize_coords=False, found {values.tolist()}"
        )
    sides = np.array([size[1], size[0]], np.float64)
    scaled = (values.reshape(-1, 2) * sides).clip(max=sides - 1)  # 1 is the last pixel
    return scaled.reshape(values.shape)


def box_clicks(box: ArrayLike, size: Size) -> list[tuple[float, float, int]]:
    """A box x0, y0, x1, y1 as clicks: object at its centre, background outside its corners.

    The background clicks lie a tenth of the box (at least 2 pixels) outside; those that would
    leave the image `size` (H, W) are dropped.

    >>> from ivs_jax.api import box_clicks
    >>> box_clicks([10, 20, 50, 40], size=(100, 54))
    [(30.0, 30.0, 1), (6.0, 18.0, 0), (6.0, 42.0, 0)]
    """
    values = np.asarray(box, np.float64).reshape(-1)
    if values.shape != (4,) or not (values[0] < values[2] and values[1] < values[3]):
        raise ValueError(f"box must be x0, y0, x1, y1 with x0 < x1, y0 < y1, got {values.tolist()}")
    x0, y0, x1, y1 = values.tolist()
    dx, dy = (max(2.0, BOX_MARGIN * side) for side in (x1 - x0, y1 - y0))
    corners = [(x, y) for y in (y0 - dy, y1 + dy) for x in (x0 - dx, x1 + dx)]
    inside = [(x, y) for x, y in corners if 0 <= x <= size[1] - 1 and 0 <= y <= size[0] - 1]
    return [((x0 + x1) / 2, (y0 + y1) / 2, OBJECT), *((x, y, BACKGROUND) for x, y in inside)]


def read_frame(image: Any) -> np.ndarray:
    """An image, uint8 `[H, W, 3]`."""
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(
            f"image is {pixels.dtype} {list(pixels.shape)}, expected uint8 [H, W, 3] RGB"
        )
    return pixels


def read_mask(mask: Any, size: Size) -> np.ndarray:
    """The mask of one object, `[H, W]` bool or numbers of which those above 0 are the object."""
    values = np.asarray(mask)
    if values.shape != tuple(size):
        raise ValueError(f"mask is {list(values.shape)}, expected [H, W] = {list(size)}")
    if values.dtype != bool and not np.issubdtype(values.dtype, np.number):
        raise ValueError(f"mask is {values.dtype}, expected bool or numbers")
    if not np.isfinite(values).all():
        raise ValueError("mask must be finite, found NaN or infinity")
    return values > 0


def read_label_mask(mask: Any, objects: Any, size: Size) -> dict[int, np.ndarray]:
    """Object id -> its mask `[H, W]` bool, of a mask of ids, or of a bool one of a single object.

    `objects` are the ids that the mask is about, None for those in it.
    """
    labels = np.asarray(mask)
    if labels.shape != tuple(size):
        raise ValueError(f"mask is {list(labels.shape)}, expected [H, W] = {list(size)}")
    if labels.dtype == bool:
        ids = [1] if objects is None else list(objects)
        if len(ids) != 1:
            raise ValueError(f"a bool mask is of one object, found objects {ids}")
        return {ids[0]: labels}
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"mask is {labels.dtype}, expected object ids (whole numbers) or bool")
    found = [number for number in np.unique(labels).tolist() if number != 0]
    ids = found if objects is None else list(objects)
    if not ids:
        raise ValueError("mask holds no object: found 0 alone and no objects to go with it")
    if strange := [number for number in found if number not in ids]:
        raise ValueError(f"mask holds object {strange[0]}, expected those of objects: {ids}")
    return {number: labels == number for number in ids}


def signed_logits(mask: np.ndarray, probability: np.ndarray | None) -> np.ndarray:
    """Logits `[H, W]` float32 of a probability whose sign is that of `mask`, within +-10.

    The mask decides, because clicks and other objects have their say after the network.
    """
    if probability is None:
        probability = mask.astype(np.float32)
    with np.errstate(divide="ignore"):
        logits = np.log(probability) - np.log1p(-probability)
    sign = np.where(mask, 1, -1)
    return (sign * np.clip(logits * sign, MIN_LOGIT, MAX_LOGIT)).astype(np.float32)


def read_logits(logits: Any, size: tuple[int, ...]) -> np.ndarray:
    """Logits `[1, H, W]` or `[H, W]` of an earlier answer as a probability `[H, W]` float32."""
    values = np.asarray(logits, np.float32)
    if values.shape not in ((1, *size), tuple(size)) or not np.isfinite(values).all():
        raise ValueError(f"mask_input is {list(values.shape)}, expected finite {[1, *size]} logits")
    return (1 / (1 + np.exp(-values.reshape(size).clip(-50, 50)))).astype(np.float32)
