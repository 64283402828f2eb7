"""How BRS lays and joins the tiles of an image (experiments/papers/brs.md, section A3)."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

MULTIPLE = 32  # of the sides of the small whole image


class Tile(NamedTuple):
    """A window of the image: rows `top:bottom`, columns `left:right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Index of its pixels."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the part of the image in it."""
        return self.bottom - self.top, self.right - self.left

    def holds(self, xy: np.ndarray) -> np.ndarray:
        """Which of the pixels `[n, 2]` (x, y) lie in it, bool `[n]`."""
        low, high = (self.left, self.top), (self.right, self.bottom)
        return np.all((xy >= low) & (xy < high), -1)


def tiles(size: tuple[int, int], side: int) -> list[Tile]:
    """Tiles of `side` at a stride of 5/6 of it (published: 480 and 400), row by row.

    The last of a row or column is shifted to end at the border; of an image smaller than the tile
    there is one, smaller than the others too.
    """
    rows, columns = (_spans(length, side, side * 5 // 6) for length in size)
    return [Tile(*row, *column) for row in rows for column in columns]


def _spans(length: int, side: int, stride: int) -> list[tuple[int, int]]:
    spans = []
    for start in range(0, length, stride):
        spans.append((max(0, min(start, length - side)), min(start + side, length)))
        if spans[-1][1] == length:
            break
    return spans


def whole_sides(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Sides at which the network sees the whole image: the longer is `side`, both multiples of 32.

    The published code is Python 2, whose divisions of integers round down. It cannot do images more
    than 15 times as long as wide; here their short side becomes 32.
    """
    height, width = (length * side // max(size) // MULTIPLE * MULTIPLE for length in size)
    return max(height, MULTIPLE), max(width, MULTIPLE)


def fused(
    size: tuple[int, int],
    answers: Iterable[tuple[Tile, np.ndarray]],
    whole: np.ndarray | None,
) -> np.ndarray:
    """Mean of all that covers a pixel, float32 `[H, W]`; 0 where nothing does.

    `answers` are the probabilities `[S, S]` of tiles, of which only what is inside the image
    counts; `whole` `[H, W]` is the whole image's, or None where it has no say any more.
    """
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    if whole is not None:
        total, count = total + whole, count + 1
    for tile, probability in answers:
        height, width = tile.size
        total[tile.area] += probability[:height, :width]
        count[tile.area] += 1
    return total / np.maximum(count, 1)
