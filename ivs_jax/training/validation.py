"""Validation of a run: the same held-out samples every time, as numbers and as a picture."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.data.pipeline import feed
from ivs_jax.io import contact_sheet, overlay
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.state import TrainState
from ivs_jax.types import Clicks

SEED = 20190  # of the samples: the same for all seeds of the run, so that runs compare
SHOWN = 4  # samples of the first batch that the picture shows
VOID = 255


class Validation:
    """Measures states on `recipe.held_out`; of the averaged parameters where there is an average.

    The samples are drawn once and stay in memory. Every process computes the same, on its first
    device.
    """

    def __init__(self, recipe: Recipe, data: Path) -> None:
        task = replace(recipe.task, **recipe.held_out_task)
        count, size = recipe.validation_batches, recipe.batch
        drawn = first_batch(recipe.held_out.open(data), seed=SEED, batch=count * size)
        self._batches = [
            jax.tree.map(lambda x, i=i: x[i : i + size], drawn)
            for i in range(0, count * size, size)
        ]
        self._key = jax.random.key(SEED)

        def measure(params: Any, stats: Any, batch: Any, key: jax.Array) -> dict[str, jax.Array]:
            cast = jax.tree.map(lambda p: p.astype(recipe.dtype), params)
            loss, metrics = task.loss(cast, stats, batch, key=key, dtype=recipe.dtype)
            return {"loss": jnp.asarray(loss, jnp.float32), **metrics}

        self._measure = jax.jit(measure)
        self._answer = jax.jit(lambda *arguments, key: task.answer(*arguments, key=key))

    def __call__(self, state: TrainState) -> tuple[dict[str, float], np.ndarray]:
        """Means of the metrics over all samples, and the picture `[H, W, 3]` uint8."""
        params = state.params if state.ema is None else state.ema
        params, stats = jax.tree.map(_here, (params, state.stats))
        found = [
            self._measure(params, stats, batch, jax.random.fold_in(self._key, number))
            for number, batch in enumerate(self._batches)
        ]
        metrics = {name: float(np.mean([float(f[name]) for f in found])) for name in found[0]}
        shown = self._batches[0]
        answer = self._answer(params, stats, shown, key=jax.random.fold_in(self._key, 0))
        return metrics, picture(shown, np.asarray(answer))


def first_batch(sampler: Any, *, seed: int, batch: int) -> Any:
    """The first batch of a run with that seed, the same on all hosts."""
    source = feed(sampler, seed=seed, batch=batch)
    try:
        return next(source)
    finally:
        source.close()


def picture(batch: Any, answer: np.ndarray) -> np.ndarray:
    """The first samples of a batch: pairs of the true masks and those of `answer`, `[H, W, 3]`.

    A row has a still, or the frames of a clip; `answer` uint8 is `[N, S, S]` or `[N, T, S, S]`.
    """
    cells, titles = [], []
    columns = 2
    for n in range(min(SHOWN, len(answer))):
        pairs = list(_pairs(batch, answer, n))
        columns = 2 * len(pairs)
        for number, (image, truth, found, clicks) in enumerate(pairs):
            cells += [overlay(image, truth, clicks=clicks), overlay(image, found, clicks=clicks)]
            place = f" frame {number}" if len(pairs) > 1 else ""
            titles += [f"{n}{place} true", f"{n}{place} found"]
    return np.asarray(contact_sheet(cells, titles, columns=columns, width=192))


def _pairs(
    batch: Any, answer: np.ndarray, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Clicks | None]]:
    if hasattr(batch, "frames"):
        for image, labels, found in zip(batch.frames[n], batch.labels[n], answer[n], strict=True):
            yield image, np.where(labels == VOID, 0, labels).astype(np.uint8), found, None
    else:
        clicks = Clicks(batch.clicks.xy[n], batch.clicks.label[n])
        truth = np.maximum(batch.truth[n], 0).astype(np.uint8)
        yield batch.image[n], truth, answer[n], clicks


def _here(x: jax.Array) -> jax.Array:
    """The copy of a replicated array on this process's first device."""
    return x.addressable_data(0)
