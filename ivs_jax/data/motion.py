"""Random motion of a window: affine, and thin-plate bending on top."""

from dataclasses import dataclass

import numpy as np

GRID = 8  # cells a side in which bending is interpolated
_POINTS = 12  # control points of a bending (STCN; experiments/papers/stm.md, section 4)


@dataclass(frozen=True)
class Motion:
    """How far a window moves between the frames of a clip: a direction is drawn once a clip.

    The published ranges of STM and RGMP are unknown; the defaults are this project's.

    Attributes:
      rotation: degrees, either way.
      shear: horizontal shear, either way.
      scale: logarithm of the scale of either axis, either way.
      shift: of the window's side, either way and along either axis.
      noise: another motion of this strength is drawn for every frame.
      bend: probability that a frame is bent by a thin-plate spline.
      bend_size: standard deviation of its control points, of the window's side.
    """

    rotation: float = 15.0
    shear: float = 0.12
    scale: float = 0.15
    shift: float = 0.12
    noise: float = 0.25
    bend: float = 0.0
    bend_size: float = 0.02

    def direction(self, rng: np.random.Generator) -> np.ndarray:
        """`[6]`: angle, shear, log scale x and y, shift x and y of one full step."""
        ranges = [self.rotation, self.shear, self.scale, self.scale, self.shift, self.shift]
        return np.array(ranges) * rng.uniform(-1, 1, 6)

    def matrix(self, direction: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
        """3 x 3 matrix about the centre of a unit window: `step` times `direction`, with noise."""
        moved = step * direction + self.noise * self.direction(rng)
        angle, shear, scale_x, scale_y, shift_x, shift_y = moved
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        stretch = np.array([[np.exp(scale_x), shear], [0, np.exp(scale_y)]])
        out = np.eye(3)
        out[:2, :2], out[:2, 2] = np.array([[cos, -sin], [sin, cos]]) @ stretch, [shift_x, shift_y]
        return out

    def bending(self, rng: np.random.Generator) -> np.ndarray | None:
        """Offsets `[GRID + 1, GRID + 1, 2]` for `crops.warp`, or None for no bending."""
        if rng.random() >= self.bend:
            return None
        points = rng.uniform(-0.5, 0.5, (_POINTS, 2))
        moves = rng.normal(0, self.bend_size, (_POINTS, 2))
        along = np.linspace(-0.5, 0.5, GRID + 1)
        grid = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
        return thin_plate(points, moves, grid).reshape(GRID + 1, GRID + 1, 2)


def thin_plate(points: np.ndarray, moves: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The smoothest field `[Q, 2]` at `at` `[Q, 2]` that is `moves` `[P, 2]` at `points` `[P, 2]`.

    Kernel r^2 log r^2 plus an affine part; P must be 3 or more points, not in a line.
    """
    count = len(points)
    affine = np.column_stack([np.ones(count), points])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count], system[:count, count:] = _kernel(points, points), affine
    system[count:, :count] = affine.T
    weights = np.linalg.solve(system, np.concatenate([moves, np.zeros((3, 2))]))
    return np.column_stack([_kernel(at, points), np.ones(len(at)), at]) @ weights


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(np.maximum(squared, 1e-12))
