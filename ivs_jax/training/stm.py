"""What space-time memory networks are trained on (experiments/papers/stm.md, section 3).

The first frame is memorised with its true masks; each further frame is segmented from the memory
and, but for the last, memorised with its own soft answer. The loss is on all frames but the first.
The two stages of the original differ in their data alone: clips made of stills, then real ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.data.clip_samples import ClipBatch
from ivs_jax.models import model_named
from ivs_jax.models.stm import STMConfig, labels_logits
from ivs_jax.training.losses import (
    VOID,
    bootstrapped_cross_entropy,
    label_cross_entropy,
    soft_iou,
)
from ivs_jax.training.metrics import hard_iou
from ivs_jax.training.network_task import ClipTask
from ivs_jax.training.optimiser import FROZEN
from ivs_jax.training.synthetic import drifting_ellipses
from ivs_jax.training.task import Batch, Metrics, Tree, as_input, measured_statistics


@dataclass(frozen=True)
class STMTask(ClipTask):
    """Training of a space-time memory network; a `training.task.Task`.

    All batch normalisations of the encoders stand still, gains and offsets too, as published.

    Attributes:
      network: registered name of a space-time memory network.
      side: of the square frames in pixels, a multiple of 16 (published: 384).
      length: frames of a clip (published: 3).
      objects: slots for objects; a clip may have fewer.
      hardest: share of the pixels that count, the hardest ones (bootstrapped cross-entropy of the
        reproductions; published: all).
      overlap: weight of 1 - soft IoU of each object, which the original does not have.
      detached: whether no gradient passes through the masks that are memorised (a reproduction's
        second stage; published: they pass).
      every: only every so-manieth segmented frame is memorised, as in a session (published: each).
      own: whether the first frame is segmented too, from its own mask in the memory.
      frozen_blocks: so many blocks of the encoder, counted from the image, do not move; their
        gradients are never computed.
    """

    network: str = "stm-small"
    side: int = 192
    length: int = 3
    objects: int = 2
    hardest: float = 1.0
    overlap: float = 0.0
    detached: bool = False
    every: int = 1
    own: bool = False
    frozen_blocks: int = 0

    def __post_init__(self) -> None:
        if not isinstance(model_named(self.network, kind="propagation").config, STMConfig):
            raise ValueError(f"{self.network} is trained by another task: it has no memory")
        if self.side % 16:
            raise ValueError(f"side: expected a multiple of 16, found {self.side}")
        if self.length < 2:
            raise ValueError(f"length: expected clips of 2 frames or more, found {self.length}")
        if not 0 < self.hardest <= 1:
            raise ValueError(f"hardest: expected a share in (0, 1], found {self.hardest}")

    def group(self, path: tuple[str, ...]) -> str:
        """See `Task`."""
        return (
            FROZEN if path[0] == "query_encoder" and self._stands(path[1]) else super().group(path)
        )

    def _stands(self, layer: str) -> bool:
        if not self.frozen_blocks:
            return False
        name, _, number = layer.partition("_")
        return layer == "stem" or name == "blocks" and int(number) < self.frozen_blocks

    def initial(self, key: Array, imagenet: Path | None = None) -> Tree:
        """See `Task`. Memory and query start with the same keys (our choice).

        With equal keys a query finds similar places in the memory from the first step on.
        """
        variables = super().initial(key, imagenet)
        if self._net.config.shared_key:
            return variables
        params = dict(variables["params"])
        params["memory_kv"] = {**params["memory_kv"], "Key": params["query_kv"]["Key"]}
        return {**variables, "params": params}

    def measured(self, variables: Tree, batch: Batch) -> Tree:
        """See `Task`; of an encoder without ImageNet weights."""
        measure = jax.jit(partial(measured_statistics, self._net))
        masks = (self._truth(batch)[:, 0] == 1).astype(jnp.float32)
        return measure(variables, as_input(batch.frames[:, 0], jnp.float32), masks)

    def example(self, batch: int, rng: np.random.Generator) -> ClipBatch:
        """See `Task`; every other sample has one object less than there are slots."""
        frames, labels = drifting_ellipses(
            rng, count=batch, frames=self.length, side=self.side, objects=self.objects
        )
        objects = np.array([max(1, self.objects - n % 2) for n in range(batch)], np.int32)
        labels[labels > objects[:, None, None, None]] = 0
        return ClipBatch(frames, labels, objects, rng.integers(2**32, size=batch, dtype=np.uint32))

    def loss(
        self, params: Tree, stats: Tree, batch: ClipBatch, *, key: Array, dtype: Any
    ) -> tuple[Array, Metrics]:
        """See `Task`. The loss of a sample is the mean over the frames that are segmented."""
        labels = jnp.asarray(batch.labels)
        truth, known = self._truth(batch), self._known(batch)
        losses, overlaps = [], {}
        for t, logits, masks in self._segmented(params, stats, batch, dtype):
            losses.append(self._terms(logits, masks, truth[:, t], labels[:, t], known))
            overlaps[t] = jnp.mean(_over_objects(hard_iou(masks > 0.5, truth[:, t]), known))
        metrics = {"iou": jnp.mean(jnp.stack([overlaps[t] for t in range(1, self.length)]))}
        if self.own:
            metrics["own_iou"] = overlaps[0]
        return jnp.mean(jnp.stack(losses)), metrics

    def answer(self, params: Tree, stats: Tree, batch: ClipBatch, *, key: Array) -> Array:
        """See `Task`; the first frame has its true labels unless it is segmented too."""
        labels = jnp.asarray(batch.labels[:, 0])
        found = {0: jnp.where(labels == VOID, 0, labels)}
        for t, logits, _ in self._segmented(params, stats, batch, jnp.float32):
            found[t] = jnp.argmax(logits, -1)
        return jnp.stack([found[t] for t in range(self.length)], 1).astype(jnp.uint8)

    def _segmented(
        self, params: Tree, stats: Tree, batch: ClipBatch, dtype: Any
    ) -> Iterator[tuple[int, Array, Array]]:
        """For each segmented frame: its number, label logits `[N, S, S, K + 1]`, soft masks.

        The masks `[N, K, S, S]` are float32, as the logits are.
        """
        config = self._net.config
        apply = partial(self._net.apply, {"params": params, "batch_stats": stats})
        frames, known = as_input(batch.frames, dtype), self._known(batch)
        masks = (self._truth(batch)[:, 0] == 1).astype(jnp.float32)
        before = None  # nothing is before the first frame
        keys: list[Array] = []
        values: list[Array] = []
        queries = self._queries(apply, frames)
        for t in range(0 if self.own else 1, self.length):
            at = max(t - 1, 0)
            if not keys or (t > 1 and at % self.every == 0 and not config.annotated_only):
                found = self._memorised(apply, queries, frames, at, masks.astype(dtype))
                keys.append(found[0])
                values.append(found[1])
            # Slots without object have no valid memory, so the network says that they are absent.
            valid = jnp.repeat(known[..., None], len(keys), -1)
            memory = jnp.stack(keys, 2), jnp.stack(values, 2), valid
            if config.previous and t > 0:
                before = masks.astype(dtype)
            alone: Any = apply(queries(t), *memory, before, method="segment")
            # Without the clamp of inference, where saturated probabilities would pass no gradient.
            logits = labels_logits(alone.astype(jnp.float32))
            found_masks = jnp.moveaxis(jax.nn.softmax(logits)[..., 1:], -1, 1)
            yield t, logits, found_masks
            if t > 0:
                masks = jax.lax.stop_gradient(found_masks) if self.detached else found_masks

    def _queries(self, apply: Callable[..., Any], frames: Array) -> Callable[[int], Any]:
        """The encoded frame of a number; where keys are shared, all are encoded at once."""
        if not self._net.config.shared_key:
            return lambda t: apply(frames[:, t], method="query")
        n, length = frames.shape[:2]
        encoded: Any = apply(frames.reshape(n * length, *frames.shape[2:]), method="query")
        return lambda t: jax.tree.map(lambda x: x.reshape(n, length, *x.shape[1:])[:, t], encoded)

    def _memorised(
        self, apply: Callable[..., Any], queries: Any, frames: Array, t: int, masks: Array
    ) -> tuple[Array, Array]:
        """Keys and values of frame `t` with `masks` `[N, K, S, S]`."""
        if self._net.config.shared_key:
            return apply(queries(t), masks, method="memorise_query")
        return apply(frames[:, t], masks, method="memorise")

    def _terms(
        self, logits: Array, masks: Array, truth: Array, labels: Array, known: Array
    ) -> Array:
        """Loss of a frame of each sample, `[N]`; `masks` and `truth` are `[N, K, S, S]`."""
        if self.hardest < 1:
            loss = bootstrapped_cross_entropy(logits, labels, self.hardest)
        else:
            loss = label_cross_entropy(logits, labels)
        if self.overlap == 0:
            return loss
        flat = (-1, *masks.shape[2:])
        each = soft_iou(masks.reshape(flat), truth.reshape(flat)).reshape(known.shape)
        return loss + self.overlap * _over_objects(each, known)

    def _known(self, batch: ClipBatch) -> Array:
        """Which slots have an object, `[N, K]` bool."""
        return jnp.arange(self.objects)[None] < jnp.asarray(batch.objects)[:, None]

    def _truth(self, batch: ClipBatch) -> Array:
        """Masks of the objects `[N, T, K, S, S]` int8: 1, 0, or -1 where void."""
        labels = jnp.asarray(batch.labels)[:, :, None]
        ids = jnp.arange(1, self.objects + 1)[None, None, :, None, None]
        return jnp.where(labels == VOID, -1, labels == ids).astype(jnp.int8)


def _over_objects(values: Array, known: Array) -> Array:
    """Mean of `values` `[N, K]` over the objects that a sample has, `[N]`."""
    counted = known.astype(jnp.float32)
    return jnp.sum(values * counted, 1) / jnp.maximum(jnp.sum(counted, 1), 1)
