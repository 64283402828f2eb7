"""From probabilities to object ids: who owns a pixel.

Order of rights: the pixel that a user clicked; objects that the user marked on the frame, the
most probable one first; then what propagation says about the other objects.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ivs_jax.interaction.events import Click

THRESHOLD = 0.5
CLICK_RADIUS = 2.0  # pixels; a click means the spot under the cursor, not the pixel alone


def compose(
    size: tuple[int, int],
    marked: Mapping[int, np.ndarray],
    clicks: Sequence[Click],
    propagated: np.ndarray | None,
) -> np.ndarray:
    """Object ids of a frame from what the user marked and what propagation said.

    Args:
      size: (H, W).
      marked: id -> probability `[H, W]` float32, in order of marking; of equal ones the last wins.
      clicks: all clicks on the frame in order; where they contradict each other the last holds.
      propagated: `[H, W]` uint8 ids or None; pixels of ids in `marked` are ignored.

    Returns:
      `[H, W]` uint8.
    """
    labels = np.zeros(size, np.uint8)
    best = np.full(size, np.nextafter(np.float32(THRESHOLD), np.float32(1)))
    for number, probability in marked.items():
        score = _obey(probability, number, clicks)
        wins = score >= best
        labels[wins] = number
        best[wins] = score[wins]
    if propagated is not None:
        free = (labels == 0) & ~np.isin(propagated, list(marked))
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


def _obey(probability: np.ndarray, number: int, clicks: Sequence[Click]) -> np.ndarray:
    """Scores that agree with the clicks: above 1 on own ones, -1 on denied ones.

    Disks first, then the very pixels, so that a disk never takes a pixel that was clicked.
    """
    score = probability.astype(np.float32)
    for exact in (False, True):
        for rank, click in enumerate(clicks):
            if click.object == number:
                base = 2 + exact * len(clicks)
                where = _spot(score.shape, click, 0.0 if exact else CLICK_RADIUS)
                score[where] = base + rank if click.label else -1
    return score


def _spot(size: tuple[int, ...], click: Click, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column indices within `radius` of the clicked pixel, inside the frame."""
    row, column = pixel(size, click.x, click.y)
    reach = int(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    near = rows**2 + columns**2 <= radius**2
    rows, columns = row + rows[near], column + columns[near]
    inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    return rows[inside], columns[inside]


def pixel(size: tuple[int, ...], x: float, y: float) -> tuple[int, int]:
    """(row, column) of the pixel under a point; the frame spans -0.5 .. W - 0.5."""
    row = min(max(int(np.floor(y + 0.5)), 0), size[0] - 1)
    return row, min(max(int(np.floor(x + 0.5)), 0), size[1] - 1)
