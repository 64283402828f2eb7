"""Training samples of propagation: short clips of objects, real, made from stills, or drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.data.clips import Clip
from ivs_jax.data.crops import Windows, drawn, warp, window_matrix
from ivs_jax.data.drawn_clips import DrawnClips
from ivs_jax.data.motion import Motion
from ivs_jax.data.pairs import Frames, pseudo_clip, renumbered
from ivs_jax.data.sets import Mixture, Set, open_mixture
from ivs_jax.data.stills import Still, instance_ids
from ivs_jax.types import Array

_TRIES = 10  # of drawing a sample from the kind of set that was chosen


class ClipBatch(NamedTuple):
    """A batch of clips; one sample is the same without the axis N.

    Attributes:
      frames: `[N, T, S, S, 3]` uint8.
      labels: `[N, T, S, S]` uint8, 0 = background, 1..K objects, 255 = void.
      objects: `[N]` int32, objects of each sample; all of them show in the first frame.
      seed: `[N]` uint32, for what is random on the device.
    """

    frames: Array
    labels: Array
    objects: Array
    seed: Array


@dataclass(frozen=True)
class Gaps:
    """Steps between the frames of a real clip: uniform from 1 to a limit that grows in training.

    STM's limit starts at 1 and rises by 5 every 20 epochs of 3,771 samples to 26 (frames
    skipped, 0 to 25; experiments/papers/stm.md, section 3).

    Attributes:
      first: limit of the first samples, in frames.
      grow: by how much it rises, every so many samples.
      every: samples of the run between two rises.
      most: where it stays.
      even: whether all steps of a clip are the same (IPN's port;
        experiments/papers/ipn.md, section 9.2).
    """

    first: int = 12
    grow: int = 0
    every: int = 1
    most: int = 26
    even: bool = False

    def __post_init__(self) -> None:
        if self.first < 1 or self.grow < 0 or self.every < 1 or self.most < self.first:
            raise ValueError(f"{self}: expected 1 <= first <= most, grow >= 0 and every >= 1")

    def limit(self, index: int) -> int:
        """The largest step at sample `index` of the run."""
        return min(self.first + self.grow * (index // self.every), self.most)


@dataclass(frozen=True)
class ClipSamples:
    """Settings of the sampler of clips; `open` gives the sampler.

    Attributes:
      stills, clips: sets of stills and of clips.
      real: share of samples from clips.
      drawn: share of samples that are drawn, on grounds from the stills where there are any; the
        other two kinds share the rest.
      size: side S in pixels.
      length: frames T.
      objects: weights of samples with 1, 2, ... objects.
      still_windows, clip_windows: windows of stills, and of clips around the first frame's objects.
      still_motion: of the window on a still.
      clip_motion: of the window on a real clip, which moves by itself. No thin-plate bending.
      drawn_clips: what is drawn.
      gaps: between the frames of a real clip.
      least_area: pixels that every object has in the first frame.
    """

    stills: tuple[Set, ...] = ()
    clips: tuple[Set, ...] = ()
    real: float = 0.5
    drawn: float = 0.0
    size: int = 192
    length: int = 3
    objects: tuple[float, ...] = (1.0,)
    still_windows: Windows = Windows(whole=0.25, zoom=(1.2, 2.6))
    clip_windows: Windows = Windows(whole=0.6, frame=(0.34, 0.7), zoom=(1.3, 4.0))
    still_motion: Motion = Motion()
    clip_motion: Motion = Motion(4.5, 0.036, 0.045, 0.036, noise=0.1)
    drawn_clips: DrawnClips = DrawnClips()
    gaps: Gaps = Gaps()
    least_area: int = 60

    def __post_init__(self) -> None:
        if not 0 <= self.real <= 1:
            raise ValueError(f"real is {self.real}, expected a share in [0, 1]")
        if not 0 <= self.drawn <= 1:
            raise ValueError(f"drawn is {self.drawn}, expected a share in [0, 1]")
        if self.real > 0 and not self.clips or self.real < 1 and not self.stills:
            sets = f"{len(self.stills)} sets of stills and {len(self.clips)} of clips"
            raise ValueError(f"real is {self.real} with {sets}: a share without a set")
        if not self.objects or min(self.objects) < 0 or sum(self.objects) <= 0:
            raise ValueError(f"objects is {self.objects}, expected weights of 1, 2, ... objects")
        if self.length < 2:
            raise ValueError(f"length is {self.length}, expected at least 2 frames")

    def open(self, data: Path) -> Callable[..., ClipBatch]:
        """Opens the sets in `data`; returns `sampler(rng, *, index=0) -> ClipBatch` of a sample.

        `index` is the number of the sample in the run, which the gaps grow with.
        """
        stills = open_mixture(self.stills, data, "stills") if self.real < 1 else None
        clips = open_mixture(self.clips, data, "clips") if self.real > 0 else None
        return partial(self.draw, stills, clips)

    def draw(
        self,
        stills: Mixture[Still] | None,
        clips: Mixture[Clip] | None,
        rng: np.random.Generator,
        *,
        index: int = 0,
    ) -> ClipBatch:
        """One sample, without the axis N. Raises ValueError if the sets hardly ever give one.

        Where clips have too few objects, more of the samples with many come from stills.
        """
        weights = np.array(self.objects) / sum(self.objects)
        count = 1 + int(rng.choice(len(weights), p=weights))

        def draw() -> ClipBatch | None:
            if self.drawn > 0 and rng.random() < self.drawn:
                return self._finished(*self._drawn(stills, count, rng), count, rng)
            real = clips is not None and rng.random() < self.real
            for _ in range(_TRIES):  # so that the share holds although windows are rejected
                if real and clips is not None:
                    found = self._real(clips.draw(rng), count, rng, index)
                elif stills is not None:
                    found = self._pseudo(stills.draw(rng), count, rng)
                sample = None if found is None else self._finished(*found, count, rng)
                if sample is not None:
                    return sample
            return None

        return drawn(draw, _names(stills) + _names(clips))

    def _drawn(self, stills: Mixture[Still] | None, count: int, rng: np.random.Generator) -> Frames:
        ground = None if stills is None else stills.draw(rng).image
        return self.drawn_clips.draw(
            rng, objects=count, length=self.length, size=self.size, photograph=ground
        )

    def _pseudo(self, still: Still, count: int, rng: np.random.Generator) -> Frames | None:
        return pseudo_clip(
            still,
            rng,
            objects=count,
            length=self.length,
            size=self.size,
            windows=self.still_windows,
            motion=self.still_motion,
        )

    def _real(self, clip: Clip, count: int, rng: np.random.Generator, index: int) -> Frames | None:
        picks = pick_frames(clip.annotated, self.length, self.gaps, index, rng)
        first = None if picks is None else clip.labels(picks[0])
        if picks is None or first is None:
            return None
        ids = instance_ids(first, min_area=self.least_area)
        if len(ids) < count:
            return None
        chosen = [int(i) for i in rng.choice(ids, count, replace=False)]
        window = window_matrix(self.clip_windows.draw(np.isin(first, chosen), rng, self.size))
        direction = self.clip_motion.direction(rng)
        frames, labels = [], []
        for pick in picks:
            matrix = window @ self.clip_motion.matrix(direction, 1.0, rng)
            mask = clip.labels(pick)
            assert mask is not None
            frames.append(warp(clip.frame(pick), matrix, self.size))
            labels.append(warp(mask, matrix, self.size))
        return np.stack(frames), renumbered(np.stack(labels), chosen)

    def _finished(
        self, frames: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator
    ) -> ClipBatch | None:
        """Mirrors half of the samples; drops those that hardly show an object at the start."""
        if any((labels[0] == i).sum() < self.least_area for i in range(1, count + 1)):
            return None
        step = -1 if rng.random() < 0.5 else 1
        seed = np.array(rng.integers(2**32), np.uint32)
        return ClipBatch(
            frames[:, :, ::step], labels[:, :, ::step], np.array(count, np.int32), seed
        )


def pick_frames(
    annotated: tuple[int, ...], length: int, gaps: Gaps, index: int, rng: np.random.Generator
) -> list[int] | None:
    """`length` annotated frames in order, or in reverse order; None if there are fewer.

    Where only every so-manieth frame is annotated, a gap is divided by that (YouTube-VOS;
    experiments/papers/stm.md, section 4). In short clips the gaps are shortened.
    """
    if len(annotated) < length:
        return None
    stride = round((annotated[-1] - annotated[0]) / (len(annotated) - 1))
    most = min(max(gaps.limit(index) // stride, 1), (len(annotated) - 1) // (length - 1))
    steps = rng.integers(1, most + 1, 1 if gaps.even else length - 1)
    offsets = np.concatenate([[0], np.cumsum(np.broadcast_to(steps, length - 1))])
    start = int(rng.integers(len(annotated) - offsets[-1]))
    picks = [annotated[start + int(offset)] for offset in offsets]
    return picks[::-1] if rng.random() < 0.5 else picks


def _names(mixture: Mixture | None) -> tuple[str, ...]:
    return () if mixture is None else mixture.names
