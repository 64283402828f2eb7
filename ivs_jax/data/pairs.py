"""Three-frame clips for training STM: from stills by affine warps, or cut out of real sequences.

As in the original's first stage (Oh et al. 2019, section 3.4), a still becomes a clip by warping it
differently for every frame; the ranges are this project's choice, the paper's are not known.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ivs_jax.data.crops import Box, bounding_box, drawn, jitter, random_window
from ivs_jax.data.davis import Clip
from ivs_jax.data.stills import Still, instance_ids
from ivs_jax.types import Array

Sample = tuple[np.ndarray, np.ndarray]


class ClipBatch(NamedTuple):
    """`frames` `[N, 3, S, S, 3]` uint8; `labels` `[N, 3, S, S]` uint8, 0..K and 255 = void."""

    frames: Array
    labels: Array


def clip_batch(
    stills: Sequence[Still],
    weights: np.ndarray,
    clips: Sequence[Clip],
    rng: np.random.Generator,
    *,
    batch: int,
    size: int,
    objects: int,
    real: float,
    max_gap: int,
) -> ClipBatch:
    """Draws `batch` clips of `objects` objects; a share `real` from sequences (one object only).

    `weights` `[len(stills)]` is the probability of each still, `max_gap` the largest step in frames
    within a sequence. Raises ValueError if hardly any draw shows that many objects.
    """

    def draw() -> Sample | None:
        if objects == 1 and rng.random() < real:
            return _real_clip(clips[int(rng.integers(len(clips)))], rng, size, max_gap)
        still = stills[rng.choice(len(stills), p=weights)]
        return _pseudo_clip(still, rng, size, objects)

    frames, labels = zip(*drawn(draw, batch), strict=True)
    return ClipBatch(np.stack(frames), np.stack(labels))


def _pseudo_clip(still: Still, rng: np.random.Generator, size: int, objects: int) -> Sample | None:
    ids = instance_ids(still.labels, min_area=300)
    if len(ids) < objects:
        return None
    chosen = [int(i) for i in rng.choice(ids, objects, replace=False)]
    box = random_window(np.isin(still.labels, chosen), rng, whole=0.25, zoom=(1.2, 2.6))
    flip = rng.random() < 0.5
    lookup = np.zeros(256, np.uint8)
    lookup[255] = 255
    lookup[chosen] = np.arange(1, objects + 1)
    frames, labels = [], []
    direction = _random_affine(rng)
    for step in (0.2, 1.0, 1.6):
        matrix = _window_matrix(box, size) @ _step(direction, step, rng)
        frames.append(_warp(still.image, matrix, size))
        labels.append(lookup[_warp(still.labels, matrix, size)])
    return _finish(frames, labels, rng, bool(flip), objects)


def _real_clip(clip: Clip, rng: np.random.Generator, size: int, max_gap: int) -> Sample | None:
    gaps = rng.integers(1, max_gap + 1, 2)
    start = rng.integers(0, max(1, len(clip.frames) - gaps.sum()))
    picks = np.minimum(start + np.array([0, gaps[0], gaps.sum()]), len(clip.frames) - 1)
    if rng.random() < 0.5:
        picks = picks[::-1]
    first = clip.labels[picks[0]] > 0
    if first.sum() < 60:
        return None
    height, width = first.shape
    x0, y0, x1, y1 = bounding_box(first)
    side = rng.uniform(0.6, 1.05) * height
    side = max(side, 0.8 * max(x1 - x0, y1 - y0))
    cx = (x0 + x1) / 2 + rng.uniform(-0.3, 0.3) * side
    cy = min(max((y0 + y1) / 2 + rng.uniform(-0.3, 0.3) * side, 0.4 * side), height - 0.4 * side)
    matrix = _window_matrix((cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2), size)
    matrix = matrix @ _step(_random_affine(rng), 0.3, rng)
    frames = [_warp(clip.frames[i], matrix, size) for i in picks]
    labels = [(_warp(clip.labels[i], matrix, size) > 0).astype(np.uint8) for i in picks]
    return _finish(frames, labels, rng, bool(rng.random() < 0.5), 1)


def _finish(
    frames: list[np.ndarray], labels: list[np.ndarray], rng: np.random.Generator, flip: bool, k: int
) -> Sample | None:
    """Drops clips whose objects hardly show in the first frame; flips and recolours the rest."""
    if any((labels[0] == i).sum() < 60 for i in range(1, k + 1)):
        return None
    seed = int(rng.integers(2**31))
    # The same random numbers for all frames: one change of light a clip, then a little a frame.
    frames = [jitter(f, np.random.default_rng(seed)) for f in frames]
    frames = [jitter(f, rng, strength=0.2) for f in frames]
    step = -1 if flip else 1
    return np.stack(frames)[:, :, ::step], np.stack(labels)[:, :, ::step]


def _random_affine(rng: np.random.Generator) -> np.ndarray:
    """Direction of a change: angle (degrees), shear x, log scale x, y, shift x, y (of the side)."""
    low = np.array([-15, -0.12, -0.15, -0.15, -0.12, -0.12])
    return rng.uniform(low, -low)


def _step(direction: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
    """3 x 3 matrix about the centre of a unit window: `step` times `direction`, with noise."""
    angle, shear, sx, sy, tx, ty = step * direction + 0.25 * _random_affine(rng)
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    linear = np.array([[c, -s], [s, c]]) @ np.array([[np.exp(sx), shear], [0, np.exp(sy)]])
    out = np.eye(3)
    out[:2, :2], out[:2, 2] = linear, [tx, ty]
    return out


def _window_matrix(box: Box, size: int) -> np.ndarray:
    """Maps the centred unit window to the pixels of `box`."""
    x0, y0, x1, y1 = box
    return np.array([[x1 - x0, 0, (x0 + x1) / 2], [0, y1 - y0, (y0 + y1) / 2], [0, 0, 1.0]])


def _warp(pixels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Samples uint8 `pixels` at the window `matrix`; bilinear for images, nearest for labels."""
    to_unit = np.array([[1 / size, 0, -0.5], [0, 1 / size, -0.5], [0, 0, 1]])
    coefficients = tuple((matrix @ to_unit)[:2].ravel())
    nearest = pixels.ndim == 2
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    image = Image.fromarray(pixels)
    return np.asarray(image.transform((size, size), Image.Transform.AFFINE, coefficients, method))
