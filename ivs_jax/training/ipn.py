"""What IPN is trained on: rounds of scribbles and propagation over a clip.

Rounds and published recipes are in experiments/papers/ipn.md, sections 7 and 9.

In each round a simulated user scribbles on a frame: on the object at first, later on the errors of
the worst frame. I-net answers, P-net carries the mask through the clip with the references of all
rounds so far, and the result is merged with that of the round before. Stills become clips of two
frames for pre-training; on real video clips and rounds grow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ivs_jax.data.scribble_samples import ScribbleBatch
from ivs_jax.interaction.error_scribbles import error_scribbles
from ivs_jax.models import model_named
from ivs_jax.models.ipn import IPNConfig, Segmented
from ivs_jax.ops.distance import crosses
from ivs_jax.ops.warp import warp
from ivs_jax.training.losses import VOID, scales_cross_entropy, scribble_mask
from ivs_jax.training.metrics import hard_iou
from ivs_jax.training.network_task import ClipTask
from ivs_jax.training.rounds import merging, visits
from ivs_jax.training.synthetic import drifting_ellipses
from ivs_jax.training.task import Batch, Metrics, Tree, as_input, measured_statistics
from ivs_jax.types import BACKGROUND, OBJECT, PADDING, Clicks


class Round(NamedTuple):
    """What a round leaves to the next, and what it is judged by.

    Attributes:
      masks: `[N, T, S, S]` float32, the merged probabilities.
      annotated: `[N, T]` bool, the frames with scribbles of this round or an earlier one.
      reference: `[N, h, w, C]`, joined references of the rounds so far.
      loss: `[N]`, mean over the frames that the round reached.
    """

    masks: Array
    annotated: Array
    reference: Array
    loss: Array


@dataclass(frozen=True)
class IPNTask(ClipTask):
    """Training of an interaction and a propagation network; a `training.task.Task`.

    Masks pass from frame to frame as probabilities and with their gradient; from round to round
    neither masks nor references pass any. All batch normalisations stand still, as published.

    Attributes:
      network: registered name of an IPN.
      side: of the square frames in pixels (the readable recipe: 400).
      length: frames of a clip (published: 2 of stills, then 4 to 8 of videos).
      rounds: of interaction (published: 2, and 3 from 7 frames on).
      clicks: share of the scribbles that are reduced to a click, as sessions have them.
      reference: what I-net sees where P-net's reference comes from: the "scribbles" of the round
        (published), or only its own "mask", as sessions have it.
    """

    network: str = "ipn-small"
    side: int = 256
    length: int = 2
    rounds: int = 2
    clicks: float = 0.0
    reference: Literal["scribbles", "mask"] = "scribbles"

    def __post_init__(self) -> None:
        if not isinstance(model_named(self.network).config, IPNConfig):
            raise ValueError(f"{self.network} is trained by another task: it is no IPN")
        if self.length < 2:
            raise ValueError(f"length: expected clips of 2 frames or more, found {self.length}")
        if self.rounds < 1:
            raise ValueError(f"rounds: expected 1 or more, found {self.rounds}")
        if not 0 <= self.clicks <= 1:
            raise ValueError(f"clicks: expected a share in [0, 1], found {self.clicks}")
        if self.reference not in ("scribbles", "mask"):
            raise ValueError(f"reference {self.reference!r}: expected scribbles or mask")

    def measured(self, variables: Tree, batch: Batch) -> Tree:
        """See `Task`; of encoders without ImageNet weights."""
        mask = jnp.asarray(batch.labels[:, 0] == 1).astype(jnp.float32)
        measure = jax.jit(partial(measured_statistics, self._net))
        return measure(variables, as_input(batch.frames[:, 0], jnp.float32), mask)

    def example(self, batch: int, rng: np.random.Generator) -> ScribbleBatch:
        """See `Task`; the scribble is a square in the object."""
        frames, labels = drifting_ellipses(
            rng, count=batch, frames=self.length, side=self.side, objects=1
        )
        annotated = rng.integers(self.length, size=batch).astype(np.int32)
        scribbles = np.zeros((batch, self.side, self.side, 2), np.uint8)
        for n, frame in enumerate(annotated):
            y, x = np.argwhere(labels[n, frame]).mean(0).astype(int)
            scribbles[n, y - 2 : y + 3, x - 2 : x + 3, 0] = 1
        seed = rng.integers(2**32, size=batch, dtype=np.uint32)
        return ScribbleBatch(frames, labels, scribbles, annotated, seed)

    def loss(
        self, params: Tree, stats: Tree, batch: ScribbleBatch, *, key: Array, dtype: Any
    ) -> tuple[Array, Metrics]:
        """See `Task`. The loss of a round is a mean over frames, where the official code sums.

        "iou" is that of all frames after the last round, "iou_first" after the first.
        """
        rounds = list(self._rounds(params, stats, batch, dtype))
        overlaps = [jnp.mean(hard_iou(r.masks > 0.5, _truth(batch))) for r in rounds]
        loss = jnp.mean(jnp.stack([r.loss for r in rounds]))
        return loss, {"iou": overlaps[-1], "iou_first": overlaps[0]}

    def answer(self, params: Tree, stats: Tree, batch: ScribbleBatch, *, key: Array) -> Array:
        """See `Task`; after the last round."""
        *_, last = self._rounds(params, stats, batch, jnp.float32)
        return (last.masks > 0.5).astype(jnp.uint8)

    def _rounds(
        self, params: Tree, stats: Tree, batch: ScribbleBatch, dtype: Any
    ) -> Iterator[Round]:
        apply = partial(self._net.apply, {"params": params, "batch_stats": stats})
        frames, truth = as_input(batch.frames, dtype), _truth(batch)
        masks = jnp.zeros(truth.shape, jnp.float32)
        earlier, reference = jnp.zeros(truth.shape[:2], bool), None
        start, scribbles = jnp.asarray(batch.annotated), jnp.asarray(batch.scribbles)
        keys = jax.vmap(jax.random.key)(jnp.asarray(batch.seed))
        for number in range(self.rounds):
            of_round = jax.vmap(partial(jax.random.fold_in, data=number))(keys)
            if number > 0:
                start = jnp.argmin(hard_iou(masks > 0.5, truth), 1)
                scribbles = jax.vmap(error_scribbles)(
                    _frame(masks, start), _frame(truth, start), of_round
                )
            maps = self._marked(scribbles.astype(jnp.float32), of_round)
            found = self._round(apply, frames, truth, masks, earlier, reference, start, maps)
            yield found
            masks, reference = lax.stop_gradient((found.masks, found.reference))
            earlier = found.annotated

    def _marked(self, scribbles: Array, keys: Array) -> Array:
        """Scribbles `[N, S, S, 2]`, those of some samples reduced to clicks."""
        if self.clicks == 0:
            return scribbles
        pairs = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, 1)))(keys)
        reduced = jax.vmap(partial(jax.random.bernoulli, p=self.clicks))(pairs[:, 0])
        clicks = jax.vmap(_as_clicks)(scribbles, pairs[:, 1])
        return jnp.where(reduced[:, None, None, None], clicks, scribbles)

    def _round(
        self,
        apply: Any,
        frames: Array,
        truth: Array,
        masks: Array,
        earlier: Array,
        reference: Array | None,
        start: Array,
        maps: Array,
    ) -> Round:
        """One round from the frames `start` `[N]`; `masks`, `earlier`, `reference`: of before."""
        image, before = _frame(frames, start), _frame(masks, start)
        positive, negative = maps[..., 0], maps[..., 1]
        first: Any = apply(image, before, positive, negative, method="interact")
        loss = scribble_mask(positive, negative) * self._window_loss(first, _frame(truth, start))
        current, none = first, jnp.zeros_like(positive)
        if self.reference == "mask":
            own = lax.stop_gradient(jnp.round(first.probability))
            current = apply(image, own, none, none, method="interact")
        joined: Any = apply(current.features, reference, method="aggregate")
        weights, reached = merging(start, earlier)

        def step(carried: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
            frame, neighbour = at
            inputs = _frame(frames, frame), _frame(masks, frame), _frame(carried, neighbour)
            found: Any = apply(joined, *inputs, method="propagate")
            loss = _frame(reached, frame) * self._window_loss(found, _frame(truth, frame))
            return _with_frame(carried, frame, found.probability), loss

        carried = _with_frame(masks, start, first.probability)
        path = visits(start, frames.shape[1])
        carried, others = lax.scan(step, carried, path)
        mixed = weights[..., None, None] * carried + (1 - weights[..., None, None]) * masks
        loss = (loss + jnp.sum(others, 0)) / jnp.sum(reached, 1)
        annotated = earlier | (jnp.arange(frames.shape[1])[None] == start[:, None])
        return Round(mixed, annotated, joined, loss)

    def _window_loss(self, found: Segmented, truth: Array) -> Array:
        """Loss `[N]` at all scales of the decoder, in the window."""
        both = jnp.stack([truth == 1, truth < 0], -1).astype(jnp.float32)
        windowed = warp(both, found.box, self._net.config.window)
        return scales_cross_entropy(found.logits, windowed[..., 0], void=windowed[..., 1])


def _as_clicks(scribbles: Array, key: Array) -> Array:
    """`[S, S, 2]` with each of the two maps reduced to a click on one of its pixels, if any."""
    width, points, labels = scribbles.shape[1], [], []
    for i, label in enumerate((OBJECT, BACKGROUND)):
        marked = scribbles[..., i].ravel() > 0
        at = jax.random.categorical(jax.random.fold_in(key, i), jnp.where(marked, 0, -jnp.inf))
        points.append(jnp.stack([at % width, at // width]).astype(jnp.float32))
        labels.append(jnp.where(jnp.any(marked), label, PADDING))
    size = scribbles.shape[0], width
    return crosses(Clicks(jnp.stack(points), jnp.stack(labels)), size)


def _truth(batch: ScribbleBatch) -> Array:
    """`[N, T, S, S]` int8: 1 object, 0 background, -1 void."""
    labels = jnp.asarray(batch.labels)
    return jnp.where(labels == VOID, -1, labels == 1).astype(jnp.int8)


def _frame(x: Array, index: Array) -> Array:
    """Of each sample of `x` `[N, T, ...]` the frame that `index` `[N]` says."""
    return x[jnp.arange(len(x)), index]


def _with_frame(x: Array, index: Array, value: Array) -> Array:
    """`x` `[N, T, ...]` with `value` `[N, ...]` as the frame that `index` `[N]` says."""
    return x.at[jnp.arange(len(x)), index].set(value)
