"""The published inference of BRS: whole image, tiles, refinement of tiles.

The protocol is in experiments/papers/brs.md, sections A3 and A4. Every click runs the network on
the whole image, made small, and on those overlapping tiles at full resolution that hold an object
click. The answer is the mean of what covers a pixel. If it is wrong at the new click, the
interaction maps of the tiles with this click are refined; refined maps stay for all later clicks,
and from then on the whole image has no say.

So an answer depends on the way to it. What later clicks need is remembered for the last histories
of clicks; an unknown history is gone through again from its first click.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.models.brs import ClickNet
from ivs_jax.refine.config import NO_REFINEMENT, config_for
from ivs_jax.refine.solution import FAILED
from ivs_jax.session.click import agreement
from ivs_jax.session.tile_network import on_tile, on_whole, solve_tile
from ivs_jax.session.tiling import Tile, fused, tiles, whole_sides
from ivs_jax.types import OBJECT, PADDING, Array, Clicks, Interaction

REMEMBERED = 32  # histories of clicks


class Refined(NamedTuple):
    """Refined interaction maps `[S, S, 2]` of a tile, and how many clicks they know of."""

    maps: Array
    clicks: int


class Memory(NamedTuple):
    """What is left of earlier clicks: refined maps by tile, and whether the whole image counts."""

    refined: Mapping[int, Refined]
    whole: bool


class Run(NamedTuple):
    """The network on one tile: its image `[S, S, 3]`, maps `[S, S, 2]`, probability `[S, S]`."""

    tile: Tile
    image: Array
    maps: Array
    probability: np.ndarray


class Step(NamedTuple):
    """The answer `[H, W]` after one more click, and what refinement cost."""

    memory: Memory
    probability: np.ndarray
    evaluations: int = 0
    energy: float = 0.0
    refine_seconds: float = 0.0


class BRSInteractor:
    """The published way from clicks to a mask; satisfies `session.engine.Interactor`.

    Args:
      net, variables: the network; its `input_size` is the side of the tiles.
      refine: "BRS", or "NoBRS" to leave the maps as they are.
      budget: most network evaluations that a tile may cost a click; None for the published limit.
      name, fingerprint: of the network, for reports.

    Raises ValueError for another refinement mode.
    """

    def __init__(
        self,
        net: ClickNet,
        variables: Any,
        *,
        refine: str = "BRS",
        budget: int | None = None,
        name: str = "brs",
        fingerprint: str = "",
    ):
        config = config_for(refine)
        if refine not in ("BRS", NO_REFINEMENT):
            raise ValueError(f"{name} refines with BRS or {NO_REFINEMENT}, not with {refine}")
        if config is not None and budget is not None:
            config = replace(config, max_evaluations=min(budget, config.max_evaluations))
        self._variables, self.config = jax.device_put(variables), config
        self.name, self.refine, self.fingerprint = name, refine, fingerprint
        self.threshold, self._side = net.config.threshold, net.config.input_size
        self._whole = jax.jit(partial(on_whole, net), static_argnums=3)
        self._tile = jax.jit(partial(on_tile, net))
        self._solve = jax.jit(partial(solve_tile, net), static_argnames="config")
        self._remembered: OrderedDict[Hashable, Memory] = OrderedDict()

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
    ) -> Interaction:
        """See `session.engine.Interactor`; the network sees neither `previous` nor strokes.

        Clicks are taken at the nearest pixel. Evaluations and energy are those of the last click.
        """
        pixels = _at_pixels(clicks, (image.shape[0], image.shape[1]))
        count = int(np.sum(pixels.label != PADDING))
        if count == 0:
            raise ValueError("clicks: expected one or more, found none")
        keys = _histories(image, pixels, count)
        known = max((k for k in range(1, count) if keys[k] in self._remembered), default=0)
        memory = self._remembered[keys[known]] if known else Memory({}, True)
        began = time.perf_counter()
        with CompileClock() as clock:
            for number in range(known + 1, count + 1):
                step = self._after(image, _first(pixels, number), number, memory)
                memory = step.memory
                self._remember(keys[number], memory)
        refine = step.refine_seconds
        rest = time.perf_counter() - began - clock.seconds - refine
        seconds = {"compile": clock.seconds, "encode": max(0.0, rest), "refine": refine}
        probability = np.clip(step.probability, 0, 1)  # cubic interpolation overshoots
        satisfied = agreement(probability, clicks, threshold=self.threshold)
        return Interaction(probability, step.evaluations, step.energy, satisfied, seconds)

    def _remember(self, key: Hashable, memory: Memory) -> None:
        self._remembered[key] = memory
        self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _after(self, image: np.ndarray, clicks: Clicks, number: int, memory: Memory) -> Step:
        """The answer to the last of `number` clicks."""
        size = (image.shape[0], image.shape[1])
        xy, label = (np.asarray(values)[:number] for values in clicks)
        whole = self._on_whole(image, clicks) if memory.whole else None
        runs = {
            index: self._on_tile(image, tile, clicks, memory.refined.get(index))
            for index, tile in enumerate(tiles(size, self._side))
            if tile.holds(xy[label == OBJECT]).any()
        }
        probability = _joined(size, runs, whole)
        column, row = xy[-1].astype(int)
        agrees = (probability[row, column] > self.threshold) == (label[-1] == OBJECT)
        wrong = [index for index, run in runs.items() if run.tile.holds(xy[-1])]
        if self.config is None or agrees or not wrong:
            return Step(memory, probability)
        return self._refined(size, clicks, number, memory.refined, runs, wrong)

    def _refined(
        self,
        size: tuple[int, int],
        clicks: Clicks,
        number: int,
        refined: Mapping[int, Refined],
        runs: Mapping[int, Run],
        wrong: Sequence[int],
    ) -> Step:
        """The answer after the maps of the tiles `wrong` are refined."""
        runs, refined, evaluations, energy = dict(runs), dict(refined), 0, 0.0
        began = time.perf_counter()
        with CompileClock() as clock:
            for index in wrong:
                tile, image, maps, _ = runs[index]
                wanted = _within(_latest_at_each_pixel(clicks), tile)
                extent = np.array(tile.size, np.int32)
                found = self._solve(
                    self._variables, image, extent, maps, wanted, config=self.config
                )
                if int(found.status) == FAILED:
                    raise ValueError(
                        f"{self.name}: expected a finite energy, found NaN or infinity: do the "
                        "weights hold any?"
                    )
                runs[index] = Run(tile, image, found.maps, np.asarray(found.probability))
                refined[index] = Refined(found.maps, number)
                evaluations += int(found.evaluations)
                energy += float(found.energy)
            seconds = max(0.0, time.perf_counter() - began - clock.seconds)
        return Step(Memory(refined, False), _joined(size, runs, None), evaluations, energy, seconds)

    def _on_whole(self, image: np.ndarray, clicks: Clicks) -> np.ndarray:
        size = np.array(image.shape[:2])
        sides = whole_sides((image.shape[0], image.shape[1]), self._side)
        xy = np.asarray(clicks.xy).astype(int) * sides[::-1] // size[::-1]
        small = Clicks(xy.astype(np.float32), clicks.label)
        return np.asarray(self._whole(self._variables, image, small, sides))

    def _on_tile(
        self, image: np.ndarray, tile: Tile, clicks: Clicks, refined: Refined | None
    ) -> Run:
        side, (height, width) = self._side, tile.size
        window = np.zeros((side, side, 3), np.uint8)
        window[:height, :width] = image[tile.area]
        if refined is None:
            refined = Refined(np.zeros((side, side, 2), np.float32), 0)
        label = np.asarray(clicks.label).copy()
        label[: refined.clicks] = PADDING
        later = _within(Clicks(clicks.xy, label), tile)
        extent = np.array(tile.size, np.int32)
        answer = self._tile(self._variables, window, extent, refined.maps, later)
        return Run(tile, answer.image, answer.maps, np.asarray(answer.probability))


def _joined(size: tuple[int, int], runs: Mapping[int, Run], whole: np.ndarray | None) -> np.ndarray:
    return fused(size, ((run.tile, run.probability) for run in runs.values()), whole)


def _at_pixels(clicks: Clicks, size: tuple[int, int]) -> Clicks:
    """Clicks on whole pixels of the image, real ones first."""
    xy, label = np.asarray(clicks.xy, np.float32), np.asarray(clicks.label)
    order = np.argsort(label == PADDING, kind="stable")
    limits = np.array([size[1] - 1, size[0] - 1], np.float32)
    return Clicks(np.clip(np.rint(xy[order]), 0, limits), label[order])


def _first(clicks: Clicks, count: int) -> Clicks:
    label = np.asarray(clicks.label).copy()
    label[count:] = PADDING
    return Clicks(clicks.xy, label)


def _within(clicks: Clicks, tile: Tile) -> Clicks:
    """Clicks in pixels of the tile, which may lie outside it."""
    origin = np.array([tile.left, tile.top], np.float32)
    return Clicks(np.asarray(clicks.xy) - origin, clicks.label)


def _latest_at_each_pixel(clicks: Clicks) -> Clicks:
    """Without the clicks that a later one at the same pixel contradicts."""
    xy, label = np.asarray(clicks.xy), np.asarray(clicks.label).copy()
    for i in range(len(label)):
        later = (xy[i + 1 :] == xy[i]).all(-1) & (np.asarray(clicks.label)[i + 1 :] != PADDING)
        if later.any():
            label[i] = PADDING
    return Clicks(xy, label)


def _histories(image: np.ndarray, clicks: Clicks, count: int) -> list[Hashable]:
    """What identifies the image and the first 0, 1, ... `count` clicks."""
    digest = hashlib.blake2b(image.tobytes()).digest()
    marks = np.column_stack([clicks.xy, clicks.label])
    return [(digest, image.shape, marks[:k].tobytes()) for k in range(count + 1)]
