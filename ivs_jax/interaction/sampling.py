"""Simulated clicks for training: first clicks on the host, corrections on the device.

First clicks follow f-BRS's sampler or Xu et al.'s three strategies, both rules about the pixels of
one window; corrections go to the network's errors.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.ndimage import distance_transform_cdt, distance_transform_edt

from ivs_jax.types import BACKGROUND, OBJECT, PADDING, Clicks

Strategy = Literal["f-BRS", "Xu", "mixed"]
_VOID = 255

# Xu et al. as coded in ITIS (experiments/papers/brs.md, section A7), in pixels.
_MARGIN, _BAND, _APART, _APART_FAR = 5, 40, 20, 40
_POSITIVES, _IN_BAND, _PER_OBJECT, _SPREAD = 5, 10, 5, 10


def sample_clicks(
    labels: np.ndarray,
    objects: tuple[int, ...],
    rng: np.random.Generator,
    *,
    capacity: int,
    strategy: Strategy = "f-BRS",
    centre: float = 0.0,
    decay: float = 0.7,
    most: int = 10,
) -> Clicks:
    """Draws clicks on the union of `objects` in `labels` `[H, W]` (255 = void is avoided).

    "mixed" takes either strategy half of the time. With probability `centre` the first click is the
    innermost point of the object, where robots and users mostly start. f-BRS draws 1 + k positives
    and k' negatives, k below `most`, k' up to `most`, P(k) ~ `decay`^k. Host arrays, positives
    first, padded to `capacity`; of more clicks than that, the last are dropped. Raises ValueError
    if the object is not visible or the strategy unknown.
    """
    if strategy not in get_args(Strategy):
        expected = ", ".join(get_args(Strategy))
        raise ValueError(f"sample_clicks: strategy is {strategy!r}, expected one of {expected}")
    target = np.isin(labels, objects)
    if not target.any():
        raise ValueError(f"sample_clicks: objects {objects} have no pixel in the window")
    xu = strategy == "Xu" or (strategy == "mixed" and rng.random() < 0.5)
    if xu:
        positive, negative = xu_points(labels, objects, rng)
    else:
        positive, negative = fbrs_points(labels, objects, rng, decay=decay, most=most)
    if rng.random() < centre:
        positive[0] = innermost(target)
    points = np.concatenate([positive, negative])[:capacity, ::-1]
    label = np.repeat([OBJECT, BACKGROUND], [len(positive), len(negative)])[:capacity]
    pad = capacity - len(points)
    xy = np.pad(points.astype(np.float32), ((0, pad), (0, 0)))
    return Clicks(xy, np.pad(label.astype(np.int32), (0, pad), constant_values=PADDING))


def fbrs_points(
    labels: np.ndarray,
    objects: tuple[int, ...],
    rng: np.random.Generator,
    *,
    decay: float,
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives `[n, 2]` (row, column) of f-BRS.

    The rule is in experiments/papers/brs.md, section B7. Positives lie with probability 0.9 in the
    object eroded three times, if that leaves more than 10 pixels; every one of several objects has
    at least one.
    """
    masks = [m for m in (labels == i for i in objects) if m.any()]
    inside = [_eroded(m) if rng.random() < 0.9 else m for m in masks]
    points = [_draw(mask, rng) for mask in inside]
    union = np.any(inside, 0)
    points += [_draw(union, rng) for _ in range(_count(rng, decay, most - 1))]
    place = _negative_place(labels, np.any(masks, 0), rng)
    count = _count(rng, decay, most) if place.any() else 0
    return np.array(points), _rows([_draw(place, rng) for _ in range(count)])


def _eroded(mask: np.ndarray) -> np.ndarray:
    inner = _depth(mask, "chessboard") > 3
    return inner if inner.sum() > 10 else mask


def _count(rng: np.random.Generator, decay: float, most: int) -> int:
    weights = decay ** np.arange(most + 1)
    return int(rng.choice(most + 1, p=weights / weights.sum()))


def _negative_place(labels: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of one strategy: anywhere (0.1), on other objects (0.4), in a ring around it (0.5)."""
    background = ~target & (labels != _VOID)
    choice = rng.random()
    if choice < 0.4:
        others = background & (labels > 0)
        return others if others.any() else background
    if choice < 0.9:
        width = int(np.ceil(0.1 * np.sqrt(target.sum())))
        ring = (distance_transform_cdt(~target, "chessboard") <= width) & background
        return ring if ring.any() else background
    return background


def xu_points(
    labels: np.ndarray, objects: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives `[n, 2]` (row, column) of Xu et al.

    The rule is in experiments/papers/brs.md, section A7. Up to 5 positives inside the object
    without its rim; negatives by one of three strategies: in a band around it, on each of the other
    objects, or spread over the band. Shuffled, so that a capacity cuts evenly.
    """
    target = np.isin(labels, objects)
    inner = _depth(target, "taxicab") > _MARGIN
    count = int(rng.integers(1, _POSITIVES + 1))
    positive = _draw_apart(inner if inner.any() else target, count, rng)
    band, strategy = _band(labels, target), int(rng.integers(3))
    if strategy == 0:
        negative = _draw_apart(band, int(rng.integers(_IN_BAND + 1)), rng)
    elif strategy == 1:
        count = int(rng.integers(_PER_OBJECT + 1))
        others = [i for i in np.unique(labels) if i not in (0, _VOID, *objects)]
        negative = [p for i in others for p in _draw_apart(labels == i, count, rng)]
    else:
        negative = _spread(band, rng)
    return np.array(positive), rng.permutation(_rows(negative))


def _band(labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Background from 5 (city block) to 40 pixels more (Euclidean) away from the object."""
    near = distance_transform_cdt(~target, "taxicab") <= _MARGIN
    return (distance_transform_edt(~near) <= _BAND) & ~near & (labels != _VOID)


def _spread(band: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The first anywhere in the band, then the points deepest inside what is left of it.

    Depths are computed once; after each point its surroundings are out.
    """
    if not band.any():
        return []
    points = [_draw(band, rng)]
    rest = band.copy()
    rest[points[0]] = False
    depth = distance_transform_edt(rest)
    while len(points) < _SPREAD and depth.any():
        points.append(_place(int(np.argmax(depth)), depth.shape))
        depth[_around(points[-1], _APART_FAR)] = 0
    return points


def _draw_apart(mask: np.ndarray, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Up to `count` pixels of the mask; after each, a square around it is out."""
    rest, points = mask.copy(), []
    for _ in range(count):
        if not rest.any():
            break
        points.append(_draw(rest, rng))
        rest[_around(points[-1], _APART)] = False
    return points


def _around(point: tuple[int, int], reach: int) -> tuple[slice, slice]:
    row, column = point
    rows = slice(max(row - reach, 0), row + reach + 1)
    return rows, slice(max(column - reach, 0), column + reach + 1)


def innermost(mask: np.ndarray) -> tuple[int, int]:
    """(row, column) of the pixel farthest from what is not the mask; the world outside is not."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    box = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    row, column = _place(int(np.argmax(distance_transform_edt(box))), box.shape)
    return top + row - 1, left + column - 1


def _depth(mask: np.ndarray, metric: str) -> np.ndarray:
    """Distance to the nearest False pixel, the world outside being False."""
    return distance_transform_cdt(np.pad(mask, 1), metric)[1:-1, 1:-1]


def _draw(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    return _place(int(rng.choice(np.flatnonzero(mask))), mask.shape)


def _place(flat: int, shape: tuple[int, ...]) -> tuple[int, int]:
    row, column = divmod(flat, shape[1])
    return row, column


def _rows(points: list[tuple[int, int]]) -> np.ndarray:
    return np.array(points, np.int64).reshape(-1, 2)


def error_clicks(clicks: Clicks, probability: Array, truth: Array, key: Array) -> Clicks:
    """Adds to each sample one click deep inside the larger error of the prediction.

    Batched: `clicks` `[N, C]`, `probability` and `truth` (1 object, 0 background, -1 void)
    `[N, H, W]`. The error with the deeper inside wins and the place is drawn among its deepest
    pixels; depth is counted in 3 x 3 erosions, at most 12. A sample without error or without
    a free slot stays as it is.
    """
    predicted = probability > 0.5
    missed = _erosions((truth == 1) & ~predicted)
    wrong = _erosions((truth == 0) & predicted)
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


def _erosions(mask: Array, steps: int = 12) -> Array:
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
