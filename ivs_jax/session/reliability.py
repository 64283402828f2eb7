"""How far the masks that propagation gave a frame can be relied on, without knowing the truth.

The figure is our own; no paper says what a person should look at next. It estimates the region
similarity (J) that a benchmark would give: exactly that if each pixel belonged to the object with
the probability that the network states, and less where the last two rounds contradict each other.
"""

from collections.abc import Collection, Mapping

import numpy as np

UNSEEN = 0.5  # of an object without a pixel on the frame: it may be hidden, it may be lost


def reliability(
    probabilities: Mapping[int, np.ndarray],
    labels: np.ndarray,
    before: np.ndarray | None = None,
    compared: Collection[int] = (),
) -> float:
    """Reliability of one frame in [0, 1]; 1 = certain, and as certain as before.

    Args:
      probabilities: object id -> `[H, W]` float32 in [0, 1], of every object that was propagated.
      labels: `[H, W]` uint8 ids, what they led to.
      before: `[H, W]` uint8 ids that the frame had before this round; None if it had none.
      compared: ids that `before` speaks of; of the others nothing was said.

    The mean over the objects of `expected_overlap`, times, for an object that had a mask here
    before, the IoU of both masks. 1 if nothing was propagated.
    """
    found = []
    for number, probability in probabilities.items():
        mask = labels == number
        value = expected_overlap(probability, mask)
        if before is not None and number in compared:
            value *= _iou(mask, before == number)
        found.append(value)
    return float(np.mean(found)) if found else 1.0


def expected_overlap(probability: np.ndarray, mask: np.ndarray) -> float:
    """Expected IoU of a mask with an object of which only a probability of each pixel is known.

    `probability` `[H, W]` in [0, 1], `mask` `[H, W]` bool: the probability inside the mask over the
    pixels of the mask and the probability outside. Both are expectations and their ratio stands for
    that of the IoU. An empty mask has 0.5.
    """
    area = int(mask.sum())
    if not area:
        return UNSEEN
    inside = float(probability[mask].sum(dtype=np.float64))
    outside = float(probability.sum(dtype=np.float64)) - inside
    return inside / (area + max(outside, 0.0))


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
