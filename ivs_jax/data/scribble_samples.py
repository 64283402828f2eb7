"""Training samples of IPN: clips of one object, with the scribbles of the first round."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.data.clip_samples import ClipBatch, ClipSamples
from ivs_jax.data.stills import VOID
from ivs_jax.interaction.scribbles import background_scribbles, dilated, draw_scribbles
from ivs_jax.types import Array


class ScribbleBatch(NamedTuple):
    """A batch; one sample is the same without the axis N.

    Attributes:
      frames: `[N, T, S, S, 3]` uint8.
      labels: `[N, T, S, S]` uint8, 1 object, 0 background, 255 void.
      scribbles: `[N, S, S, 2]` uint8, 1 where a scribble lies: on the object, on the background.
      annotated: `[N]` int32, the frame that was scribbled on; the object shows there.
      seed: `[N]` uint32, for what is random on the device.
    """

    frames: Array
    labels: Array
    scribbles: Array
    annotated: Array
    seed: Array


@dataclass(frozen=True)
class ScribbleSamples:
    """Settings of the sampler of scribbles; `open` gives the sampler.

    The scribbles of later rounds follow the network's errors: `interaction.error_scribbles`.

    Attributes:
      clips: of the clips; one object each.
      negative: share of samples with scribbles on the background beside the object. Robots draw
        them from the second round on only, users also in the first.
    """

    clips: ClipSamples
    negative: float = 0.3

    def __post_init__(self) -> None:
        if len(self.clips.objects) != 1:
            objects = self.clips.objects
            raise ValueError(f"scribbles mark one object, found weights of several: {objects}")

    def open(self, data: Path) -> Callable[..., ScribbleBatch]:
        """Opens the sets in `data`; returns `sampler(rng, *, index=0)` of one sample.

        `index` is the number of the sample in the run, as for `ClipSamples`.
        """
        return partial(self.draw, self.clips.open(data))

    def draw(
        self, clips: Callable[..., ClipBatch], rng: np.random.Generator, *, index: int = 0
    ) -> ScribbleBatch:
        """One sample, without the axis N, of the sampler `clips`."""
        clip = clips(rng, index=index)
        labels = np.asarray(clip.labels)
        shown = (labels == 1).sum((1, 2)) >= self.clips.least_area
        annotated = int(rng.choice(np.flatnonzero(shown)))
        target, void = labels[annotated] == 1, labels[annotated] == VOID
        positive = dilated(draw_scribbles(target, rng))
        negative = np.zeros_like(positive)
        if rng.random() < self.negative:
            negative = dilated(background_scribbles(target, ~target & ~void, rng)) & ~positive
        scribbles = np.stack([positive, negative], -1).astype(np.uint8)
        return ScribbleBatch(
            clip.frames, clip.labels, scribbles, np.array(annotated, np.int32), clip.seed
        )
