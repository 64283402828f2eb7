"""Simulated clicks for training: f-BRS's sampler (spec B7) on the host, error clicks on the device.

f-BRS draws 1 + k positives and k negatives with P(k) ~ decay^k, positives inside the eroded
object, negatives from one of three places. As robots and users mostly start at the innermost
point, the first positive is that point with probability `centre`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jax import Array

from ivs_jax.ops.distance import distance_transform
from ivs_jax.types import BACKGROUND, OBJECT, PADDING, Clicks


def sample_clicks(
    labels: np.ndarray,
    objects: tuple[int, ...],
    rng: np.random.Generator,
    *,
    capacity: int,
    centre: float = 0.5,
    decay: float = 0.5,
    most: int = 5,
) -> Clicks:
    """Draws clicks on the union of `objects` in `labels` `[H, W]` (255 = void is avoided).

    Returns host arrays padded to `capacity`. Raises ValueError if the object is not visible.
    """
    target = np.isin(labels, objects)
    if not target.any():
        raise ValueError(f"sample_clicks: objects {objects} have no pixel in the window")
    depth = distance_transform(target)
    inside = depth > min(3.0, 0.5 * depth.max())
    points = [_argmax(depth) if rng.random() < centre else _draw(inside, rng)]
    marks = [OBJECT]
    for _ in range(_count(rng, decay, most)):
        points.append(_draw(inside, rng))
        marks.append(OBJECT)
    places = _negative_place(labels, target, rng)
    for _ in range(_count(rng, decay, most) if places.any() else 0):
        points.append(_draw(places, rng))
        marks.append(BACKGROUND)
    pad = capacity - len(points)
    xy = np.pad(np.array(points, np.float32)[:capacity, ::-1], ((0, max(pad, 0)), (0, 0)))
    return Clicks(xy, np.array((marks + [PADDING] * max(pad, 0))[:capacity], np.int32))


def _count(rng: np.random.Generator, decay: float, most: int) -> int:
    weights = decay ** np.arange(most + 1)
    return int(rng.choice(most + 1, p=weights / weights.sum()))


def _negative_place(labels: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of one strategy: anywhere (0.1), on other objects (0.4), in a ring around it (0.5)."""
    background = ~target & (labels != 255)
    choice = rng.random()
    if choice < 0.4:
        others = background & (labels > 0)
        return others if others.any() else background
    if choice < 0.9:
        width = int(np.ceil(0.1 * np.sqrt(target.sum())))
        square = 2 * width + 1
        ring = scipy.ndimage.maximum_filter(target, size=square) & background
        return ring if ring.any() else background
    return background


def _draw(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    flat = np.flatnonzero(mask)
    return tuple(int(v) for v in np.unravel_index(rng.choice(flat), mask.shape))  # type: ignore[return-value]


def _argmax(depth: np.ndarray) -> tuple[int, int]:
    return tuple(int(v) for v in np.unravel_index(np.argmax(depth), depth.shape))  # type: ignore[return-value]


def error_clicks(clicks: Clicks, probability: Array, truth: Array, key: Array) -> Clicks:
    """Adds to each sample one click deep inside the larger error of the prediction.

    Batched: `clicks` `[N, C]`, `probability` and `truth` (1 object, 0 background, -1 void)
    `[N, H, W]`. The error with the deeper inside wins and the place is drawn among its deepest
    pixels; depth is counted in 3 x 3 erosions, at most 12. A sample without error or without
    a free slot stays as it is.
    """
    predicted = probability > 0.5
    missed = _depth((truth == 1) & ~predicted)
    wrong = _depth((truth == 0) & predicted)
    positive = jnp.max(missed, (1, 2)) > jnp.max(wrong, (1, 2))
    depth = jnp.where(positive[:, None, None], missed, wrong)
    score = depth + jax.random.uniform(key, depth.shape)
    flat = jnp.argmax(score.reshape(len(score), -1), -1)
    width = truth.shape[2]
    point = jnp.stack([flat % width, flat // width], -1).astype(jnp.float32)
    slot = jnp.argmax(clicks.label == PADDING, -1)
    free = jnp.any(clicks.label == PADDING, -1) & (jnp.max(depth, (1, 2)) > 0)
    here = (jnp.arange(clicks.label.shape[1])[None] == slot[:, None]) & free[:, None]
    label = jnp.where(positive, OBJECT, BACKGROUND)[:, None]
    return Clicks(
        jnp.where(here[..., None], point[:, None], clicks.xy), jnp.where(here, label, clicks.label)
    )


def _depth(mask: Array, steps: int = 12) -> Array:
    """Number of 3 x 3 erosions `[N, H, W]` that each True pixel survives, plus one, capped."""
    x = mask
    total = x.astype(jnp.float32)
    for _ in range(steps):
        rows = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
        x = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
        columns = jnp.pad(x, ((0, 0), (0, 0), (1, 1)))
        x = columns[:, :, :-2] & columns[:, :, 1:-1] & columns[:, :, 2:]
        total = total + x
    return total
