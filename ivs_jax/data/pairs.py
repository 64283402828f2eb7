"""Pseudo clips: a still, warped differently for every frame.

As in the first training stage of STM (experiments/papers/stm.md, section 3).
"""

import numpy as np

from ivs_jax.data.crops import Windows, warp, window_matrix
from ivs_jax.data.motion import Motion
from ivs_jax.data.stills import VOID, Still, instance_ids

Frames = tuple[np.ndarray, np.ndarray]
_STEPS = (0.2, 1.6)  # of the motion, in the first and the last frame
_LEAST_AREA = 300  # pixels in the still, of objects that are drawn


def pseudo_clip(
    still: Still,
    rng: np.random.Generator,
    *,
    objects: int,
    length: int,
    size: int,
    windows: Windows,
    motion: Motion,
) -> Frames | None:
    """Frames `[T, S, S, 3]` uint8 and labels `[T, S, S]` uint8 of 1..`objects` and void.

    The window and `objects` of the instances are drawn, and moved on from frame to frame in one
    direction. None if the still has too few instances.
    """
    ids = instance_ids(still.labels, min_area=_LEAST_AREA)
    if len(ids) < objects:
        return None
    chosen = [int(i) for i in rng.choice(ids, objects, replace=False)]
    window = window_matrix(windows.draw(np.isin(still.labels, chosen), rng, size))
    direction = motion.direction(rng)
    frames, labels = [], []
    for step in np.linspace(*_STEPS, length):
        matrix, bend = window @ motion.matrix(direction, step, rng), motion.bending(rng)
        frames.append(warp(still.image, matrix, size, bend=bend))
        labels.append(warp(still.labels, matrix, size, bend=bend))
    return np.stack(frames), renumbered(np.stack(labels), chosen)


def renumbered(labels: np.ndarray, chosen: list[int]) -> np.ndarray:
    """The ids `chosen` become 1, 2, ... in this order, void stays, all others background."""
    lookup = np.zeros(256, np.uint8)
    lookup[VOID] = VOID
    lookup[chosen] = np.arange(1, len(chosen) + 1)
    return lookup[labels]
