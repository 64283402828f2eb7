"""What users hand in and get out: points, boxes and logits."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ivs_jax.session import Engine
from ivs_jax.types import BACKGROUND, OBJECT, PADDING

EngineLoader = Callable[..., Engine]

MAX_LOGIT, MIN_LOGIT = 10.0, 1e-3
BOX_MARGIN = 0.1  # of the box, and at least 2 pixels: how far outside the background clicks lie


def default_loader() -> EngineLoader:
    """The networks that ship with the package."""
    from ivs_jax.session.build import load_engine

    return load_engine


def read_points(
    points: Any, labels: Any, box: Any, size: tuple[int, ...]
) -> list[tuple[float, float, int]]:
    """Points `[N, 2]`, labels `[N]` and a box `[4]`, each or None, as a list of (x, y, label).

    The clicks of the box come first; points with label -1 are left out.
    """
    found = [] if box is None else box_clicks(box, size)
    if points is None and labels is None:
        return found
    xy = np.asarray([] if points is None else points, np.float64)
    given = np.asarray([] if labels is None else labels).reshape(-1)
    if xy.size != 2 * len(given):
        raise ValueError(f"points are {list(xy.shape)} and labels {len(given)}: expected [N, 2], N")
    if not np.isin(given, (OBJECT, BACKGROUND, PADDING)).all():
        raise ValueError(f"point labels must be 1, 0 or -1, got {sorted(set(given.tolist()))}")
    pairs = zip(xy.reshape(-1, 2).tolist(), given.tolist(), strict=True)
    return found + [(x, y, int(label)) for (x, y), label in pairs if label != PADDING]


def box_clicks(box: ArrayLike, size: tuple[int, ...]) -> list[tuple[float, float, int]]:
    """A box x0, y0, x1, y1 as clicks: object at its centre, background outside its corners.

    The background clicks lie a tenth of the box (at least 2 pixels) outside; those that would
    leave the image `size` (H, W) are dropped.
    """
    values = np.asarray(box, np.float64).reshape(-1)
    if values.shape != (4,) or not (values[0] < values[2] and values[1] < values[3]):
        raise ValueError(f"box must be x0, y0, x1, y1 with x0 < x1, y0 < y1, got {values.tolist()}")
    x0, y0, x1, y1 = values.tolist()
    dx, dy = (max(2.0, BOX_MARGIN * side) for side in (x1 - x0, y1 - y0))
    corners = [(x, y) for y in (y0 - dy, y1 + dy) for x in (x0 - dx, x1 + dx)]
    inside = [(x, y) for x, y in corners if 0 <= x <= size[1] - 1 and 0 <= y <= size[0] - 1]
    return [((x0 + x1) / 2, (y0 + y1) / 2, OBJECT), *((x, y, BACKGROUND) for x, y in inside)]


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
