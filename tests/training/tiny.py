"""A recipe that trains in milliseconds: one number a colour channel, on noisy squares."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.data.click_samples import ClickBatch
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe
from ivs_jax.types import Clicks

SIDE = 16


@dataclasses.dataclass(frozen=True)
class TinySamples:
    """Bright squares on a dark ground; sample number `broken` is white all over."""

    broken: int = -1
    dark: int = 40

    def open(self, data: Path) -> Any:
        return self.draw

    def draw(self, rng: np.random.Generator, *, index: int) -> ClickBatch:
        x, y = rng.integers(2, 8, 2)
        truth = np.zeros((SIDE, SIDE), np.int8)
        truth[y : y + 6, x : x + 6] = 1
        image = np.where(truth[..., None] > 0, 170, self.dark) + rng.integers(
            -30, 30, (SIDE, SIDE, 3)
        )
        image = np.full_like(image, 255) if index == self.broken else image
        clicks = Clicks(np.array([[x + 3, y + 3]], np.float32), np.array([1], np.int32))
        seed = np.asarray(rng.integers(2**32), np.uint32)
        return ClickBatch(image.astype(np.uint8), truth, clicks, seed)


@dataclasses.dataclass(frozen=True)
class TinyTask:
    """A logistic regression of pixels, with noise from the step's key and from the sample's."""

    network: str = "click-small"  # a registered name, for --start
    noise: float = 0.1

    @property
    def groups(self) -> tuple[str, ...]:
        return ("decoder",)

    def group(self, path: tuple[str, ...]) -> str:
        return "decoder"

    def initial(self, key: jax.Array, imagenet: Path | None = None) -> Any:
        kernel = 0.1 * jax.random.normal(key, (3,))
        return {"params": {"pixel": {"kernel": kernel, "bias": jnp.zeros(1)}}, "batch_stats": {}}

    def measured(self, variables: Any, batch: Any) -> Any:
        return variables

    def example(self, batch: int, rng: np.random.Generator) -> ClickBatch:
        samples = [TinySamples().draw(rng, index=0) for _ in range(batch)]
        return jax.tree.map(lambda *x: np.stack(x), *samples)

    def loss(self, params: Any, stats: Any, batch: Any, *, key: Any, dtype: Any) -> Any:
        image = jnp.asarray(batch.image, dtype) / 255
        own = jax.vmap(lambda seed: jax.random.normal(jax.random.key(seed), ()))(batch.seed)
        shared = jax.random.normal(key, ())
        logits = self._logits(params, image) + self.noise * (own[:, None, None] + shared)
        truth = jnp.asarray(batch.truth, jnp.float32)
        losses = jnp.mean(jnp.logaddexp(0, logits) - truth * logits, (1, 2))
        blank = jnp.all(image == image[:, :1, :1], (1, 2, 3))  # whatever its light became
        found = logits > 0
        iou = jnp.sum(found * truth, (1, 2)) / jnp.sum(jnp.maximum(found, truth), (1, 2))
        return jnp.mean(jnp.where(blank, jnp.nan, losses)), {"iou": jnp.mean(iou)}

    def answer(self, params: Any, stats: Any, batch: Any, *, key: Any) -> Any:
        return (self._logits(params, jnp.asarray(batch.image) / 255) > 0).astype(jnp.uint8)

    def _logits(self, params: Any, image: Any) -> Any:
        weights = params["pixel"]["kernel"].astype(jnp.float32)
        return jnp.einsum("nhwc,c->nhw", image, weights) + params["pixel"]["bias"].reshape(1, 1, 1)


RECIPE = Recipe(
    "tiny",
    TinyTask(),
    TinySamples(),
    held_out=TinySamples(),
    batch=4,
    steps=12,
    colour=None,
    optimiser=Optimiser(rates={"decoder": 0.5}, schedule="cosine", warmup=2),
    ema=0.9,
    log_every=5,
    validate_every=6,
    save_every=4,
    validation_batches=2,
)


def interrupt_at(step: int) -> Any:
    """An `advance` of `run` that sends this process SIGTERM after `step` steps."""

    def advance(done: int, total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return advance
