"""A simulated user of a video: which frame to correct next, and clicks on it."""

from collections.abc import Collection, Iterable

import numpy as np

from ivs_jax.interaction.events import Click
from ivs_jax.interaction.robot import next_click


def worst_frame(
    scores: np.ndarray, chosen: Collection[int] = (), *, candidates: Collection[int] | None = None
) -> int:
    """The frame of the lowest score that was not chosen before, the first of equals.

    Args:
      scores: `[T]`, the measure of each frame, higher is better.
      chosen: frames chosen before. Where all were, any may be chosen again.
      candidates: choose among these alone; None = all frames.

    Raises ValueError for scores that are not `[T]` finite numbers, T >= 1, and for candidates that
    are none or are not frames.
    """
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"scores must be [T] finite numbers, T >= 1, found shape {scores.shape}")
    among = range(len(scores)) if candidates is None else sorted(set(candidates))
    outside = [frame for frame in among if not 0 <= frame < len(scores)]
    if outside or not among:
        found = outside[0] if outside else "none"
        raise ValueError(f"candidates must be frames in 0..{len(scores) - 1}, found {found}")
    fresh = [frame for frame in among if frame not in chosen]
    return min(fresh or among, key=lambda frame: scores[frame])


def best_view(truth: Iterable[np.ndarray], objects: Collection[int]) -> int:
    """The frame that a user would begin with: the one that shows the most of `objects`, and of such
    the one where the smallest of them is largest; the first of equals.

    `truth` are the ids `[H, W]` uint8 of every frame. (In the DAVIS challenge a person chose; what
    stands in for that choice is not specified.) Raises ValueError if no frame shows any.
    """
    shown = []
    for labels in truth:
        areas = np.bincount(labels.ravel(), minlength=256)[list(objects)]
        seen = areas[areas > 0]
        shown.append((len(seen), int(seen.min(initial=labels.size))))
    best = max(range(len(shown)), key=lambda frame: shown[frame], default=None)
    if best is None or not shown[best][0]:
        raise ValueError(f"none of the objects {sorted(objects)} is on any frame")
    return best


def robot_click(
    prediction: np.ndarray, truth: np.ndarray, frame: int, object: int, made: Iterable[Click] = ()
) -> Click | None:
    """The next click for one object on one frame: deep in its largest error, see `robot`.

    `prediction` and `truth` are `[H, W]` uint8 ids; `made` are earlier clicks (those of other
    frames and objects are passed over), whose pixels are not clicked again. None if no error is
    left.
    """
    earlier = [(c.x, c.y) for c in made if c.frame == frame and c.object == object]
    click = next_click(truth == object, prediction == object, clicked=earlier)
    return None if click is None else Click(frame, object, *click)
