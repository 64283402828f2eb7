"""From probabilities to object ids: who owns a pixel.

First the pixels that the user clicked or drew on; then the objects that the user annotated on the
frame, the most probable one first; then what propagation gave the other objects.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ivs_jax.session.hints import PromptMaps

THRESHOLD = 0.5
PROMPT_RADIUS = 2.0  # pixels; a prompt means the spot under the cursor, not the pixel alone


def compose(
    marked: Mapping[int, np.ndarray], maps: PromptMaps, propagated: np.ndarray | None
) -> np.ndarray:
    """Object ids of a frame from what the user annotated and what propagation gave.

    Args:
      marked: id -> probability `[H, W]` float32, in order of annotation; of equal ones the last
        wins.
      maps: the prompts on the frame, of objects in `marked` and, as strokes, of the background.
      propagated: `[H, W]` uint8 ids or None; pixels of ids in `marked` are ignored.

    Returns:
      `[H, W]` uint8.
    """
    spots, size = _spots(maps), maps.size
    labels = np.zeros(size, np.uint8)
    best = np.full(size, np.nextafter(np.float32(THRESHOLD), np.float32(1)))
    for number, probability in marked.items():
        score = _obey(probability, number, spots)
        wins = score >= best
        labels[wins] = number
        best[wins] = score[wins]
    if propagated is not None:
        empty = _obey(np.zeros(size, np.float32), 0, spots) < 0
        free = (labels == 0) & ~empty & ~np.isin(propagated, list(marked))
        labels[free] = propagated[free]
    return labels


def most_probable(
    probabilities: np.ndarray, objects: Sequence[int], *, fixed: Collection[int] = ()
) -> np.ndarray:
    """Object ids of a propagated frame, `[H, W]` uint8.

    Args:
      probabilities: `[H, W, K + 1]`, background first, then `objects`.
      objects: K ids.
      fixed: ids that the user marked on this frame. They take no part: where such an object
        would have won but the user says it is not there, the next probable one wins.
    """
    kept = [0] + [i + 1 for i, number in enumerate(objects) if number not in fixed]
    ids = np.array([0, *objects], np.uint8)[kept]
    return ids[np.argmax(probabilities[..., kept], axis=-1)]


class Spot(NamedTuple):
    """Pixels on and around a prompt.

    Attributes:
      object: id; 0 = background, so `present` is False: none of the objects is here.
      present: is the object here?
      where: row and column indices.
    """

    object: int
    present: bool
    where: tuple[np.ndarray, np.ndarray]


def _spots(maps: PromptMaps) -> list[Spot]:
    """The prompts, the last one at the end.

    Disks first, then the very pixels, so that a disk never takes a pixel that was prompted.
    """
    return [
        Spot(one.object, one.present, _around(one.xy, maps.size, radius))
        for radius in (PROMPT_RADIUS, 0.0)
        for one in maps.pixels
    ]


def _obey(probability: np.ndarray, number: int, spots: Sequence[Spot]) -> np.ndarray:
    """Scores that obey the prompts: above 1 on own ones, later ones higher, -1 on denied ones.

    `number` 0 stands for any object without prompts: denied on and around background strokes.
    """
    score = probability.astype(np.float32)
    for rank, spot in enumerate(spots):
        if spot.object == number and spot.present:
            score[spot.where] = 2 + rank
        elif spot.object in (number, 0):
            score[spot.where] = -1
    return score


def _around(xy: np.ndarray, size: tuple[int, int], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column indices within `radius` of pixels `[n, 2]` (x, y), inside the frame."""
    reach = int(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    near = rows**2 + columns**2 <= radius**2
    rows = (xy[:, 1:] + rows[near][None]).ravel()
    columns = (xy[:, :1] + columns[near][None]).ravel()
    inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    return rows[inside], columns[inside]
