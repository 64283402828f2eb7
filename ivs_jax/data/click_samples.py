"""Training samples of the click network: a window, its object, first clicks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ivs_jax.data.crops import crop, drawn, jitter, random_window
from ivs_jax.data.stills import VOID, Still, instance_ids
from ivs_jax.interaction.sampling import sample_clicks
from ivs_jax.types import Array, Clicks


class ClickBatch(NamedTuple):
    """A batch.

    Attributes:
      image: `[N, S, S, 3]` uint8.
      truth: `[N, S, S]` int8, 1 object, 0 background, -1 void.
      clicks: batched `Clicks`, `[N, C, 2]` and `[N, C]`.
    """

    image: Array
    truth: Array
    clicks: Clicks


def click_batch(
    stills: Sequence[Still],
    weights: np.ndarray,
    rng: np.random.Generator,
    *,
    batch: int,
    size: int,
    capacity: int = 16,
) -> ClickBatch:
    """Draws `batch` samples; `weights` `[len(stills)]` is the probability of each image.

    Every image needs an instance that `usable` counts. Raises ValueError if nearly every draw
    leaves too little of its object.
    """

    def draw() -> tuple[np.ndarray, np.ndarray, Clicks] | None:
        return _sample(stills[rng.choice(len(stills), p=weights)], rng, size, capacity)

    samples = drawn(draw, batch)
    images, truths, clicks = zip(*samples, strict=True)
    xy, label = (np.stack([c[i] for c in clicks]) for i in (0, 1))
    return ClickBatch(np.stack(images), np.stack(truths), Clicks(xy, label))


def _sample(
    still: Still, rng: np.random.Generator, size: int, capacity: int
) -> tuple[np.ndarray, np.ndarray, Clicks] | None:
    ids = instance_ids(still.labels, min_area=150)
    union = len(ids) > 1 and rng.random() < 0.08
    objects = tuple(int(i) for i in rng.choice(ids, 2 if union else 1, replace=False))
    box = random_window(np.isin(still.labels, objects), rng, whole=0.4, zoom=(1.1, 2.2))
    flip = bool(rng.random() < 0.5)
    labels = crop(still.labels, box, size, flip=flip)
    target = np.isin(labels, objects)
    if target.sum() < 40:
        return None
    image = jitter(crop(still.image, box, size, flip=flip), rng)
    truth = np.where(labels == VOID, -1, target).astype(np.int8)
    return image, truth, sample_clicks(labels, objects, rng, capacity=capacity)
