"""What a round of scribbles changes: how far it reaches and how it joins the round before (IPN).

After the interaction on one frame the masks are carried to the nearest frames that were annotated
in earlier rounds; on the way the new result counts less and less. As the paper means it
(experiments/papers/ipn.md, section 7): the merge in the released demo does nothing.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np


class Round(NamedTuple):
    """Reach of a round.

    Attributes:
      left, right: first and last frame that are carried anew, both included.
      weights: `[T]` float32 in [0, 1], how much the new result of each frame counts.
    """

    left: int
    right: int
    weights: np.ndarray


def plan_round(target: int, annotated: Collection[int], count: int) -> Round:
    """The round after an interaction on frame `target` of a video of `count` frames.

    `annotated` are the frames of earlier rounds. Towards an annotated frame the weight falls
    linearly from 1 at the target to 0 there and beyond; on a side without one it is 1 throughout.
    Raises ValueError for a frame outside the video.
    """
    for name, frames in (("target", [target]), ("annotated", annotated)):
        if outside := [frame for frame in frames if not 0 <= frame < count]:
            raise ValueError(f"{name} must be in 0..{count - 1}, found {outside[0]}")
    before = max((frame for frame in annotated if frame < target), default=None)
    after = min((frame for frame in annotated if frame > target), default=None)
    distance = np.arange(count) - target
    weights = np.ones(count)
    for end, side in ((before, distance < 0), (after, distance > 0)):
        if end is not None:
            weights[side] = np.maximum(0, 1 - np.abs(distance[side] / (end - target)))
    left, right = 0 if before is None else before, count - 1 if after is None else after
    return Round(left, right, weights.astype(np.float32))


def merge_round(
    new: Mapping[int, np.ndarray], previous: Mapping[int, np.ndarray], weights: Mapping[int, float]
) -> dict[int, np.ndarray]:
    """Probabilities of the objects of a frame after a round: `w * new + (1 - w) * previous`.

    Args:
      new: object id -> `[H, W]` float32 in [0, 1], for the objects of the round.
      previous: the same from earlier rounds, for all objects that have one here.
      weights: id -> w in [0, 1] from `plan_round`, for the objects of the round.

    Returns:
      id -> `[H, W]` float32, ascending ids. An object without an earlier answer has the new one,
      one that is not of the round the earlier one.
    """
    merged = {**previous, **new}
    for number in new.keys() & previous.keys():
        w = np.float32(weights[number])
        merged[number] = w * new[number] + (1 - w) * previous[number]
    return dict(sorted(merged.items()))
