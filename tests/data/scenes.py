"""Stills and clips whose labels can be told from their colours."""

import numpy as np

from ivs_jax.data.sets import Mixture
from ivs_jax.data.stills import Still


def mixture(*elements):
    """One set of these elements."""
    return Mixture((list(elements),), (1.0,), ("scene",))


def disk(size, centre, radius):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def two_disks():
    """A red disk (id 3) and a blue one (id 9) on black, and some void."""
    labels = np.zeros((100, 120), np.uint8)
    labels[:6] = 255
    labels[disk(labels.shape, (40, 35), 22)] = 3
    labels[disk(labels.shape, (60, 85), 20)] = 9
    image = np.zeros((100, 120, 3), np.uint8)
    image[labels == 3], image[labels == 9] = (200, 0, 0), (0, 0, 200)
    return Still(image, labels, "s")


class Moving:
    """A clip: a magenta disk (id 1) that moves right by 4 pixels a frame, and a green one (id 2).

    Every `every`-th frame is annotated. The green disk stands still and leaves after `leaves`.
    """

    name = "moving"
    size = (90, 120)

    def __init__(self, frames=8, *, every=1, leaves=99):
        self.annotated, self._leaves, self._length = (*range(0, frames, every),), leaves, frames

    def __len__(self):
        return self._length

    def frame(self, index):
        colours = np.array([[0, 0, 0], [230, 0, 230], [0, 230, 0]], np.uint8)
        return colours[self._ids(index)]

    def labels(self, index):
        return self._ids(index) if index in self.annotated else None

    def _ids(self, index):
        ids = disk(self.size, (45, 30 + 4 * index), 16).astype(np.uint8)
        if index <= self._leaves:
            ids[disk(self.size, (76, 100), 9)] = 2
        return ids
