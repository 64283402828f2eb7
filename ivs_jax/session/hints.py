"""The hints on a frame: what clicks and scribbles say about one object, and about the whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ivs_jax.interaction.events import Click, Scribble, Stroke
from ivs_jax.interaction.strokes import (
    NOTHING,
    UNMARKED,
    near,
    pixels,
    rasterise,
    scribble_clicks,
    signed,
)
from ivs_jax.types import BACKGROUND, OBJECT, Clicks, make_clicks

Hint = Click | Scribble


class Asked(NamedTuple):
    """What an interactor is asked about one object.

    Attributes:
      clicks: its clicks, and some pixels of all strokes that concern it, in order.
      scribbles: `[H, W]` int8, all strokes, see `interaction.strokes.signed`; None without strokes.
      clicked: for each of the clicks, did the user click it? False for a pixel of a stroke.
    """

    clicks: Clicks
    scribbles: np.ndarray | None
    clicked: tuple[bool, ...]


def strokes_of(hints: Sequence[Hint]) -> list[Stroke]:
    """All strokes in order of drawing."""
    return [s for hint in hints if isinstance(hint, Scribble) for s in hint.strokes]


def drawn(hints: Sequence[Hint], size: tuple[int, int]) -> np.ndarray | None:
    """What was drawn, `[H, W]` uint8, see `interaction.strokes.rasterise`; None without strokes."""
    strokes = strokes_of(hints)
    return rasterise(strokes, size) if strokes else None


def last_said(hints: Sequence[Hint], size: tuple[int, int]) -> np.ndarray:
    """`drawn` without the pixels that were clicked after something was drawn there."""
    labels = np.full(size, NOTHING, np.uint8)
    for hint in hints:
        if isinstance(hint, Click):
            [[x, y]] = pixels([(hint.x, hint.y)], size)
            labels[y, x] = NOTHING
        else:
            labels = np.where((new := rasterise(hint.strokes, size)) == NOTHING, labels, new)
    return labels


def said(hints: Sequence[Hint], number: int, size: tuple[int, int]) -> np.ndarray:
    """What clicks and strokes say about an object, `[H, W]` int8: 1 here, 0 not here, -1 nothing.

    The last one counts where they meet.
    """
    out = np.full(size, UNMARKED, np.int8)
    for hint in hints:
        if isinstance(hint, Scribble):
            new = signed(rasterise(hint.strokes, size), number)
            out = np.where(new == UNMARKED, out, new)
        elif hint.object == number:
            [[x, y]] = pixels([(hint.x, hint.y)], size)
            out[y, x] = hint.label
    return out


def without(hints: Sequence[Hint], number: int) -> tuple[Hint, ...]:
    """The hints without the clicks and strokes of one object."""
    left: list[Hint] = []
    for hint in hints:
        if isinstance(hint, Click):
            left += [hint] if hint.object != number else []
        elif strokes := tuple(stroke for stroke in hint.strokes if stroke.object != number):
            left.append(replace(hint, strokes=strokes))
    return tuple(left)


def asked(
    hints: Sequence[Hint],
    number: int,
    size: tuple[int, int],
    mask: np.ndarray,
    *,
    anchor: tuple[int, int] | None = None,
) -> Asked:
    """What the hints say about one object.

    `mask` `[H, W]` bool is where the object was so far. Of the strokes of others only what is on
    or near it or its own strokes becomes clicks, see `interaction.strokes.near`. `anchor` (x, y) is
    a first click on the object that nobody made, see `correction.anchor`.
    """
    labels = drawn(hints, size)
    around = None if labels is None else near(mask | (labels == number))
    points: list[tuple[float, float, int, bool]] = []
    if anchor is not None:
        points.append((*anchor, OBJECT, False))
    for hint in hints:
        if isinstance(hint, Click):
            if hint.object == number:
                points.append((hint.x, hint.y, hint.label, True))
            continue
        for stroke in hint.strokes:
            own = stroke.object == number
            found = scribble_clicks(stroke.path, size, where=None if own else around)
            points += [(x, y, OBJECT if own else BACKGROUND, False) for x, y in found.tolist()]
    return Asked(
        make_clicks(
            [(x, y) for x, y, _, _ in points],
            [label for _, _, label, _ in points],
            capacity=click_capacity(len(points)),
        ),
        None if labels is None else signed(labels, number),
        tuple(clicked for *_, clicked in points),
    )


def click_capacity(count: int) -> int:
    """32, 64, ...: a click seldom changes the shape that networks are compiled for."""
    return max(32, 1 << (count - 1).bit_length())
