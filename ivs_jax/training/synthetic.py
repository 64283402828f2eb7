"""Made-up samples in the shapes of real ones, for dry runs, costs and tests: drifting ellipses."""

import numpy as np


def drifting_ellipses(
    rng: np.random.Generator, *, count: int, frames: int, side: int, objects: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` clips of `objects` ellipses that move a little from frame to frame.

    Returns frames `[N, T, S, S, 3]` uint8 and labels `[N, T, S, S]` uint8, 0..K without void. Each
    object is visible in each frame, and its colour differs from the ground's.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    images = np.zeros((count, frames, side, side, 3), np.uint8)
    labels = np.zeros((count, frames, side, side), np.uint8)
    for n in range(count):
        ground = rng.integers(40, 110, 3)
        images[n] = ground + rng.integers(-12, 13, (side, side, 3))  # the same in all frames
        column = (np.arange(objects) + 0.5) / objects
        for k in range(objects):
            centre = np.array([rng.uniform(0.35, 0.65), column[k]])
            radius = rng.uniform(0.6, 0.9, 2) * np.array([0.3, 0.45 / objects])
            colour, drift = rng.integers(150, 230, 3), rng.uniform(-0.02, 0.02, 2)
            for t in range(frames):
                dy, dx = y - centre[0] - t * drift[0], x - centre[1] - t * drift[1]
                inside = (dy / radius[0]) ** 2 + (dx / radius[1]) ** 2 < 1
                images[n, t][inside] = colour
                labels[n, t][inside] = k + 1
    return images, labels
