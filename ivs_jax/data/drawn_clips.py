"""Clips that are drawn: shapes that move over a plain, soft or photographed ground.

They show what few real clips do: look-alikes side by side, fast motion, objects without texture,
plain ground. Training mixes them in, and tests hold propagation to some of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

HARMONICS = 4
_EDGE = 1.0  # pixels over which a shape ends, so that its border is smooth


class Shape(NamedTuple):
    """A closed curve around its centre: the radius over the angle, and what fills it.

    Attributes:
      radius: mean distance of the border from the centre, pixels.
      waves: `[HARMONICS, 2]` amplitude, as a share of the radius, and phase of each harmonic.
      stretch: factor of the second axis.
      filling: `[S, S, 3]` float32 colours in 0..255, sampled around the centre.
    """

    radius: float
    waves: np.ndarray
    stretch: float
    filling: np.ndarray


@dataclass(frozen=True)
class DrawnClips:
    """Settings of the drawn clips.

    Attributes:
      radius: range of the shapes' radii, of the frame's side.
      speed: most that a shape moves between two frames, of the frame's side.
      look_alikes: probability that others have the form and filling of the first shape.
      others: most shapes that are not asked for.
      photograph: probability that the ground is a photograph, where one is given; else it is plain
        or soft noise.
    """

    radius: tuple[float, float] = (0.06, 0.22)
    speed: float = 0.1
    look_alikes: float = 0.5
    others: int = 3
    photograph: float = 0.5

    def draw(
        self,
        rng: np.random.Generator,
        *,
        objects: int,
        length: int,
        size: int,
        photograph: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames `[T, S, S, 3]` uint8 and labels `[T, S, S]` uint8, 0..`objects`.

        `photograph` `[H, W, 3]` uint8 may be the ground. Later shapes cover earlier ones; those
        that are asked for are anywhere in this order.
        """
        count = objects + int(rng.integers(self.others + 1))
        ground = self._ground(rng, photograph, size)
        first = self._shape(rng, photograph, size)
        alike = rng.random() < self.look_alikes
        shapes = [first] + [
            first if alike else self._shape(rng, photograph, size) for _ in range(count - 1)
        ]
        ids = rng.permutation([*range(1, objects + 1), *[0] * (count - objects)])
        centres = rng.uniform(0.15, 0.85, (count, 2)) * size
        steps = rng.uniform(-1, 1, (count, 2)) * self.speed * size * rng.random()
        angles = rng.uniform(0, 2 * np.pi, count)
        turns = rng.normal(0, 0.08, count)
        drift = rng.uniform(-0.02, 0.02, 2) * size
        frames, labels = [], []
        for t in range(length):
            image = np.roll(ground, np.round(t * drift).astype(int), (0, 1)).copy()
            label = np.zeros((size, size), np.uint8)
            for shape, number, centre, step, angle, turn in zip(
                shapes, ids, centres, steps, angles, turns, strict=True
            ):
                at = bounced(centre + t * step, size)
                paint(image, label, shape, at, angle + t * turn, int(number))
            frames.append(np.clip(np.round(image), 0, 255).astype(np.uint8))
            labels.append(label)
        return np.stack(frames), np.stack(labels)

    def _shape(self, rng: np.random.Generator, photograph: np.ndarray | None, size: int) -> Shape:
        radius = float(np.exp(rng.uniform(*np.log(self.radius)))) * size
        amplitude = rng.uniform(0, 0.25, HARMONICS) / np.arange(1, HARMONICS + 1)
        amplitude *= rng.random() < 0.7  # the others are ellipses
        waves = np.stack([amplitude, rng.uniform(0, 2 * np.pi, HARMONICS)], 1)
        return Shape(radius, waves, rng.uniform(0.6, 1.0), filling(rng, photograph, 96))

    def _ground(
        self, rng: np.random.Generator, photograph: np.ndarray | None, size: int
    ) -> np.ndarray:
        if photograph is not None and rng.random() < self.photograph:
            return _piece(rng, photograph, size)
        return filling(rng, None, size)


def filling(rng: np.random.Generator, photograph: np.ndarray | None, size: int) -> np.ndarray:
    """Colours `[size, size, 3]` float32: plain, soft noise, stripes, or a piece of a photograph."""
    kind = rng.integers(4 if photograph is not None else 3)
    if kind == 3 and photograph is not None:
        return _piece(rng, photograph, size)
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    plain = np.broadcast_to(colour, (size, size, 3))
    if kind == 0:
        return plain.copy()
    if kind == 1:
        return plain + soft_noise(rng, size, cells=int(rng.integers(3, 17)), strength=60)
    phase = np.arange(size) * rng.uniform(0.1, 0.8)
    stripes = (np.sin(phase) > 0).astype(np.float32)[:, None, None]
    other = rng.uniform(0, 255, 3).astype(np.float32)
    return plain * stripes + other * (1 - stripes)


def soft_noise(rng: np.random.Generator, size: int, *, cells: int, strength: float) -> np.ndarray:
    """Smooth noise `[size, size, 3]` float32 around 0, of `strength`, `cells` cells a side."""
    coarse = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
    layers = [
        np.asarray(Image.fromarray(coarse[..., c]).resize((size, size), Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    return np.stack(layers, -1)


def paint(
    image: np.ndarray,
    label: np.ndarray,
    shape: Shape,
    centre: np.ndarray,
    angle: float,
    number: int,
) -> None:
    """Paints a shape at `centre` (y, x) into `image` `[S, S, 3]` float32 and `label` `[S, S]`."""
    height, width = label.shape
    reach = 1.6 * shape.radius + 2
    y0, y1 = (int(np.clip(v, 0, height)) for v in (centre[0] - reach, centre[0] + reach + 1))
    x0, x1 = (int(np.clip(v, 0, width)) for v in (centre[1] - reach, centre[1] + reach + 1))
    if y0 >= y1 or x0 >= x1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) - centre[:, None, None].astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = cos * y + sin * x, (cos * x - sin * y) / np.float32(shape.stretch)
    theta = np.arctan2(v, u)
    border = np.full_like(theta, shape.radius)
    for k, (amplitude, phase) in enumerate(shape.waves, 1):
        if amplitude:
            border += np.float32(shape.radius * amplitude) * np.cos(k * theta + np.float32(phase))
    inside = np.clip((border - np.hypot(u, v)) / _EDGE + 0.5, 0, 1)[..., None]
    side = len(shape.filling)
    rows, columns = (np.mod(np.round(c).astype(int) + side // 2, side) for c in (u, v))
    patch = image[y0:y1, x0:x1]
    patch += inside * (shape.filling[rows, columns] - patch)
    label[y0:y1, x0:x1][inside[..., 0] > 0.5] = number


def bounced(position: np.ndarray, size: int) -> np.ndarray:
    """A position that moves on from the frame's borders instead of leaving: a fold of the line."""
    folded = np.mod(position, 2 * size)
    return np.where(folded > size, 2 * size - folded, folded)


def _piece(rng: np.random.Generator, photograph: np.ndarray, size: int) -> np.ndarray:
    """A random square of a photograph at `size` x `size`, float32."""
    height, width = photograph.shape[:2]
    side = int(min(height, width) * rng.uniform(0.3, 1.0))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    box = (x, y, x + side, y + side)
    resized = Image.fromarray(photograph).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized, np.float32)
