"""From probabilities to object ids: who owns a pixel.

Order of rights: the pixel that a user clicked or drew on; objects that the user marked on the
frame, the most probable one first; then what propagation says about the other objects.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ivs_jax.interaction.events import Click, Scribble
from ivs_jax.interaction.strokes import drawn_pixels, pixels

THRESHOLD = 0.5
HINT_RADIUS = 2.0  # pixels; a hint means the spot under the cursor, not the pixel alone


def compose(
    size: tuple[int, int],
    marked: Mapping[int, np.ndarray],
    hints: Sequence[Click | Scribble],
    propagated: np.ndarray | None,
) -> np.ndarray:
    """Object ids of a frame from what the user marked and what propagation said.

    Args:
      size: (H, W).
      marked: id -> probability `[H, W]` float32, in order of marking; of equal ones the last wins.
      hints: all clicks and scribbles on the frame in order, of objects in `marked` and, as strokes,
        of the background; where they contradict each other the last holds.
      propagated: `[H, W]` uint8 ids or None; pixels of ids in `marked` are ignored.

    Returns:
      `[H, W]` uint8.
    """
    spots = _spots(hints, size)
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
    """Pixels of which the user said something.

    Attributes:
      object: id; 0 = background, so `positive` is False: none of the objects is here.
      positive: is the object here?
      where: row and column indices.
    """

    object: int
    positive: bool
    where: tuple[np.ndarray, np.ndarray]


def _spots(hints: Sequence[Click | Scribble], size: tuple[int, int]) -> list[Spot]:
    """What the hints say, the last word at the end.

    Disks first, then the very pixels, so that a disk never takes a pixel that was marked.
    """
    said: list[tuple[int, bool, np.ndarray]] = []
    for hint in hints:
        if isinstance(hint, Click):
            said.append((hint.object, hint.label == 1, pixels([(hint.x, hint.y)], size)))
        else:
            said += [(s.object, s.object != 0, drawn_pixels(s.path, size)) for s in hint.strokes]
    return [
        Spot(number, positive, _around(xy, size, radius))
        for radius in (HINT_RADIUS, 0.0)
        for number, positive, xy in said
    ]


def _obey(probability: np.ndarray, number: int, spots: Sequence[Spot]) -> np.ndarray:
    """Scores that agree with the hints: above 1 on own ones, later ones higher, -1 on denied ones.

    `number` 0 stands for any object without hints: denied on and around background strokes.
    """
    score = probability.astype(np.float32)
    for rank, spot in enumerate(spots):
        if spot.object == number and spot.positive:
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
