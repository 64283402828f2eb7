"""Training samples of click networks: a window of a still, its object, first clicks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.data.crops import Box, Windows, crop, drawn, warp, window_matrix
from ivs_jax.data.motion import Motion
from ivs_jax.data.sets import Mixture, Set, open_mixture
from ivs_jax.data.stills import VOID, Still, instance_ids
from ivs_jax.interaction.sampling import Strategy, sample_clicks
from ivs_jax.types import Array, Clicks

_TURNED = 0.75  # share of samples that are turned (f-BRS; experiments/papers/brs.md, section B7)


class ClickBatch(NamedTuple):
    """A batch; one sample is the same without the axis N.

    Attributes:
      image: `[N, S, S, 3]` uint8.
      truth: `[N, S, S]` int8, 1 object, 0 background, -1 void.
      clicks: batched `Clicks`, `[N, C, 2]` and `[N, C]`.
      seed: `[N]` uint32, for what is random on the device.
    """

    image: Array
    truth: Array
    clicks: Clicks
    seed: Array


@dataclass(frozen=True)
class ClickSamples:
    """Settings of the sampler of clicks; `open` gives the sampler.

    The published f-BRS: `Windows(rescale=(0.75, 1.25))`, turn 3, quarter_turns, union 0.15,
    least_area 80, least_fill 0.08, centre 0 (experiments/papers/brs.md, section B7; its
    crops are 320 x 480, these are square).

    Attributes:
      stills: sets to draw from.
      size: side S in pixels.
      capacity: slots for clicks C; corrections while training need free ones.
      windows: which part of a still is seen.
      turn: most degrees of a small rotation, of three samples in four; they are shifted, too, by
        up to 0.03 of the side.
      quarter_turns: whether windows are also turned by multiples of 90 degrees.
      union: share of samples whose object is two instances of a still that has them.
      least_area: pixels of the object in the window.
      least_fill: least share of its bounding box that an instance covers.
      strategy, centre, decay: of `sample_clicks`.
    """

    stills: tuple[Set, ...]
    size: int = 192
    capacity: int = 24
    windows: Windows = Windows()
    turn: float = 0.0
    quarter_turns: bool = False
    union: float = 0.08
    least_area: int = 40
    least_fill: float = 0.0
    strategy: Strategy = "f-BRS"
    centre: float = 0.5
    decay: float = 0.7

    def open(self, data: Path) -> Callable[[np.random.Generator], ClickBatch]:
        """Opens the sets in `data`; returns `sampler(rng) -> ClickBatch` of one sample."""
        return partial(self.draw, open_mixture(self.stills, data, "stills"))

    def draw(self, stills: Mixture[Still], rng: np.random.Generator) -> ClickBatch:
        """One sample, without the axis N. Raises ValueError if the sets hardly ever give one."""
        return drawn(lambda: self._sample(stills.draw(rng), rng), stills.names)

    def _sample(self, still: Still, rng: np.random.Generator) -> ClickBatch | None:
        ids = instance_ids(still.labels, min_area=self.least_area, min_fill=self.least_fill)
        if not ids:
            return None
        union = len(ids) > 1 and rng.random() < self.union
        objects = tuple(int(i) for i in rng.choice(ids, 2 if union else 1, replace=False))
        box = self.windows.draw(np.isin(still.labels, objects), rng, self.size)
        image, labels, inside = self._cut(still, box, rng)
        target = np.isin(labels, objects)
        if target.sum() < self.least_area:
            return None
        clicks = sample_clicks(
            np.where(inside, labels, VOID),  # nobody clicks beyond the border
            objects,
            rng,
            capacity=self.capacity,
            strategy=self.strategy,
            centre=self.centre,
            decay=self.decay,
        )
        truth = np.where(labels == VOID, -1, target).astype(np.int8)
        return ClickBatch(image, truth, clicks, np.array(rng.integers(2**32), np.uint32))

    def _cut(self, still: Still, box: Box, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """The window of the image, of the labels and of what is the image, turned and mirrored."""
        planes = still.image, still.labels, np.ones_like(still.labels)
        if self.turn and rng.random() < _TURNED:
            motion = Motion(self.turn, shear=0, scale=0, shift=0.03, noise=0)
            matrix = window_matrix(box) @ motion.matrix(motion.direction(rng), 1.0, rng)
            cut = [warp(x, matrix, self.size) for x in planes]
        else:
            cut = [crop(x, box, self.size) for x in planes]
        flip, turns = rng.random() < 0.5, int(rng.integers(4)) if self.quarter_turns else 0
        return tuple(np.rot90(x[:, ::-1] if flip else x, turns) for x in cut)
