"""The prompts on a frame as pixels: drawn once, read by everything that asks what was prompted."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ivs_jax.interaction.events import Click, Scribble
from ivs_jax.interaction.strokes import (
    NOTHING,
    UNMARKED,
    drawn_pixels,
    near,
    pixels,
    scribble_clicks,
    signed,
)
from ivs_jax.types import BACKGROUND, OBJECT, Clicks, make_clicks

Prompt = Click | Scribble


class PromptPixels(NamedTuple):
    """A click or a stroke.

    Attributes:
      object: id; 0 is a stroke of the background, so `present` is False: no object is here.
      present: is the object here?
      click: (x, y) as the user clicked; None for a stroke.
      xy: `[n, 2]` int64, its pixels (x, y) inside the frame.
    """

    object: int
    present: bool
    click: tuple[float, float] | None
    xy: np.ndarray


class InteractorInput(NamedTuple):
    """What an interactor gets about one object.

    Attributes:
      clicks: its clicks, and some pixels of all strokes that concern it, in order.
      scribbles: `[H, W]` int8, all strokes, see `interaction.strokes.signed`; None without strokes.
      clicked: for each of the clicks, did the user click it? False for a pixel of a stroke.
    """

    clicks: Clicks
    scribbles: np.ndarray | None
    clicked: tuple[bool, ...]


class PromptMaps:
    """The prompts on one frame; where they contradict each other the last one holds.

    Args:
      prompts: clicks and scribbles in order.
      size: (H, W) of the frame.
    """

    def __init__(self, prompts: Sequence[Prompt], size: tuple[int, int]) -> None:
        self.prompts, self.size = tuple(prompts), size

    @cached_property
    def pixels(self) -> tuple[PromptPixels, ...]:
        """Every click and every stroke, in order."""
        found: list[PromptPixels] = []
        for prompt in self.prompts:
            if isinstance(prompt, Click):
                point = (prompt.x, prompt.y)
                xy = pixels([point], self.size)
                found.append(PromptPixels(prompt.object, prompt.label == OBJECT, point, xy))
                continue
            for stroke in prompt.strokes:
                xy = drawn_pixels(stroke.path, self.size)
                found.append(PromptPixels(stroke.object, stroke.object != 0, None, xy))
        return tuple(found)

    @cached_property
    def stroke_labels(self) -> np.ndarray | None:
        """Ids of what was drawn, `[H, W]` uint8: 0 = background, 255 = nothing; None if nothing."""
        strokes = [one for one in self.pixels if one.click is None]
        return _painted(strokes, self.size) if strokes else None

    def last_strokes(self) -> np.ndarray:
        """Ids of what the last prompt, a scribble, drew: as `stroke_labels`."""
        last = self.prompts[-1]
        count = len(last.strokes) if isinstance(last, Scribble) else 0
        return _painted(self.pixels[len(self.pixels) - count :], self.size)

    def prompt_labels(self) -> np.ndarray:
        """`stroke_labels` without the pixels that were clicked after something was drawn there."""
        return _painted(self.pixels, self.size)

    def prompt_map(self, number: int) -> np.ndarray:
        """What the prompts say about an object, `[H, W]` int8: 1 here, 0 not here, -1 nothing."""
        out = np.full(self.size, UNMARKED, np.int8)
        for one in self.pixels:
            x, y = one.xy.T
            if one.click is None:
                out[y, x] = OBJECT if one.object == number else BACKGROUND
            elif one.object == number:
                out[y, x] = one.present
        return out

    def interactor_input(
        self, number: int, mask: np.ndarray, *, anchor: tuple[int, int] | None = None
    ) -> InteractorInput:
        """What an interactor gets about one object.

        `mask` `[H, W]` bool is where the object was so far. Of the strokes of others only what is
        on or near it or its own strokes becomes clicks, see `interaction.strokes.near`. `anchor`
        (x, y) is a first click on the object that nobody made, see `correction.anchor`.
        """
        labels = self.stroke_labels
        around = None if labels is None else near(mask | (labels == number))
        points: list[tuple[float, float, int, bool]] = []
        if anchor is not None:
            points.append((*anchor, OBJECT, False))
        for one in self.pixels:
            own = one.object == number
            if one.click is not None:
                points += [(*one.click, int(one.present), True)] if own else []
                continue
            found = scribble_clicks(one.xy, self.size, where=None if own else around)
            points += [(x, y, OBJECT if own else BACKGROUND, False) for x, y in found.tolist()]
        return InteractorInput(
            make_clicks(
                [(x, y) for x, y, _, _ in points],
                [label for _, _, label, _ in points],
                capacity=click_capacity(len(points)),
            ),
            None if labels is None else signed(labels, number),
            tuple(clicked for *_, clicked in points),
        )


def without(prompts: Sequence[Prompt], number: int) -> tuple[Prompt, ...]:
    """The prompts without the clicks and strokes of one object."""
    left: list[Prompt] = []
    for prompt in prompts:
        if isinstance(prompt, Click):
            left += [prompt] if prompt.object != number else []
        elif strokes := tuple(stroke for stroke in prompt.strokes if stroke.object != number):
            left.append(replace(prompt, strokes=strokes))
    return tuple(left)


def click_capacity(count: int) -> int:
    """32, 64, ...: a click seldom changes the shape that networks are compiled for."""
    return max(32, 1 << (count - 1).bit_length())


def _painted(prompts: Sequence[PromptPixels], size: tuple[int, int]) -> np.ndarray:
    """Strokes as ids, `[H, W]` uint8; a later click takes a pixel away, 255 is nothing."""
    labels = np.full(size, NOTHING, np.uint8)
    for one in prompts:
        x, y = one.xy.T
        labels[y, x] = one.object if one.click is None else NOTHING
    return labels
