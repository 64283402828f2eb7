"""NoC runs of many objects at once on the device, with the records of `evaluation.noc`.

Objects are padded to buckets, one program each: squares, so that one serves a whole data set of
common sizes, but on a CPU those of `session.click`, which gives the same rounding and thus the very
same clicks as the host loop. Each bucket has a batch of places. A call of the program takes a few
turns on all places; then objects that finished make room for the next ones, so that no place waits
for the hardest object of its batch.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc.click_loop import click_capacity, unusable
from ivs_jax.evaluation.noc.config import NocInteractor, NocRule
from ivs_jax.evaluation.noc.program import (
    Objects,
    Progress,
    Record,
    Rule,
    Start,
    empty_progress,
    longest_run,
    run_turns,
)
from ivs_jax.evaluation.noc.record import ObjectResult
from ivs_jax.evaluation.noc.samples import Samples
from ivs_jax.ops.padding import padded_sides
from ivs_jax.session.click import FRAME_MULTIPLE, ClickInteractor
from ivs_jax.session.device_click import blank_start, look
from ivs_jax.session.protocol import PublishedProtocol

SQUARE = 256  # squares are multiples of it
TURNS = 4  # of one call


def measure_batches(
    dataset: Samples,
    indices: Iterable[int],
    interactor: NocInteractor,
    rule: NocRule,
    *,
    batch: int,
    turns: int = TURNS,
    together: bool | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Iterator[ObjectResult]:
    """Clicks the objects `indices` of `dataset`; yields each as it is finished, in no fixed order.

    Args:
      interactor: a `ClickInteractor`, or the `PublishedProtocol` of one (whose solutions are then
        carried from click to click); its network and refinement run inside the program.
      batch: objects at once, over all devices together.
      turns: of the scan of one call, see `program`; objects that finished are replaced after
        it. `program.longest_run(rule.max_clicks)` makes a call the whole run of a batch.
      together: see `program.run_turns`, and in square buckets; default: not on a CPU, where a
        batch of the network takes as long as its items one by one, and waiting for each other is
        pure loss.
      devices: default: all of this process, at most `batch`.

    An object that cannot be measured is yielded with the reason, see `click_loop.unusable`.
    Raises ValueError for another kind of interactor or a batch below 1.
    """
    if not isinstance(interactor, ClickInteractor | PublishedProtocol):
        kind = type(interactor).__name__
        raise ValueError(
            f"batch needs a network with zoomed-in windows, found {kind}: leave it out"
        )
    if batch < 1:
        raise ValueError(f"batch must be at least 1, found {batch}")
    devices = list(devices or jax.local_devices())[:batch]
    places = -(-batch // len(devices)) * len(devices)
    together = devices[0].platform != "cpu" if together is None else together
    clicker = interactor.interactor if isinstance(interactor, PublishedProtocol) else interactor
    advance = _over_devices(
        partial(
            run_turns,
            partial(look, clicker.answer, clicker.network.config.input_size),
            Rule(clicker.threshold, rule.max_clicks, rule.target, _start_of(interactor)),
            turns=min(turns, longest_run(rule.max_clicks)),
            together=together,
        ),
        devices,
    )
    lanes: dict[tuple[int, int], _Lane] = {}
    for index in indices:
        began = time.perf_counter()
        try:
            sample = dataset[index]
            problem = unusable(sample)
        except ValueError as error:
            yield ObjectResult(dataset.names[index], skipped=str(error))
            continue
        if problem:
            yield ObjectResult(sample.name, skipped=problem)
            continue
        loading = time.perf_counter() - began
        bucket = _bucket(sample.mask.shape, square=together)
        if bucket not in lanes:
            start = blank_start(clicker)
            empty = empty_progress(places, bucket, click_capacity(rule.max_clicks), start)
            lanes[bucket] = _Lane(partial(advance, clicker.variables), empty)
        while lanes[bucket].full:
            yield from lanes[bucket].advance()
        lanes[bucket].add(sample, seconds=loading)
    for lane in lanes.values():
        while lane.busy:
            yield from lane.advance()


def _bucket(size: tuple[int, ...], *, square: bool) -> tuple[int, int]:
    if square:
        return (padded_sides(max(size), max(size), SQUARE)[0],) * 2
    return padded_sides(size[0], size[1], FRAME_MULTIPLE)


def _start_of(interactor: ClickInteractor | PublishedProtocol) -> Start:
    if isinstance(interactor, ClickInteractor) or interactor.interactor.config is None:
        return "zero"
    return "warm" if interactor.interactor.config.variable == "features" else "warm in window"


class _Lane:
    """The places of one bucket."""

    def __init__(self, run: Callable[..., tuple[Progress, Record]], empty: Progress) -> None:
        frames = empty.probability.shape
        self._run, self._progress = run, empty
        self._results: list[ObjectResult | None] = [None] * frames[0]
        self._fresh = np.zeros(frames[0], bool)
        self._objects = Objects(
            image=np.zeros((*frames, 3), np.uint8),
            truth=np.zeros(frames, bool),
            ignore=np.zeros(frames, bool),
            size=np.ones((frames[0], 2), np.int32),
        )

    @property
    def full(self) -> bool:
        return None not in self._results

    @property
    def busy(self) -> bool:
        return any(self._results)

    def add(self, sample: ClickSample, *, seconds: float) -> None:
        """Gives `sample` a free place; `seconds` is what loading took."""
        place = self._results.index(None)
        self._results[place] = ObjectResult(sample.name, seconds=seconds)
        self._fresh[place] = True
        height, width = sample.mask.shape
        for canvas, part in zip(self._objects[:3], sample[1:], strict=True):
            canvas[place] = 0
            if part is not None:
                canvas[place, :height, :width] = part
        self._objects.size[place] = height, width

    def advance(self) -> Iterator[ObjectResult]:
        """One call of the program; yields the objects that it finished, whose places are free."""
        with CompileClock() as clock:
            began = time.perf_counter()
            self._progress, records = self._run(self._objects, self._progress, self._fresh)
            records = jax.tree.map(np.asarray, records)
            seconds = time.perf_counter() - began
        self._fresh[:] = False
        share = records.made.sum(0) / max(records.made.sum(), 1)
        active = np.asarray(self._progress.active).reshape(-1)
        for place, result in enumerate(self._results):
            if result is None:
                continue
            _add(result, jax.tree.map(lambda leaf, place=place: leaf[:, place], records))
            result.seconds += seconds * float(share[place])
            result.compile_seconds += clock.seconds * float(share[place])
            if not active[place]:
                self._results[place] = None
                yield result


def _add(result: ObjectResult, records: Record) -> None:
    """Adds the clicks of one call, records `[turns]`, to `result`."""
    for turn in np.flatnonzero(records.made):
        if not records.finite[turn]:
            result.skipped = f"click {len(result.clicks) + 1}: the network's answer is not finite"
            return
        x, y, label = records.click[turn].tolist()
        result.clicks.append((x, y, label))
        result.ious.append(int(records.intersection[turn]) / int(records.union[turn]))
        result.satisfied.append(bool(records.satisfied[turn]))
        result.evaluations.append(int(records.evaluations[turn]))


def _over_devices(
    function: Callable[..., tuple[Any, Any]], devices: Sequence[jax.Device]
) -> Callable[..., tuple[Any, Any]]:
    """Compiles `function(variables, *batch) -> (carried, records)`, the batch split over `devices`.

    Arrays of `batch` have the batch first, a multiple of the number of devices; those of `records`
    second. NumPy arrays are split; what was `carried` stays where it is and is only to be passed
    back in. All devices get the same `variables`.
    """
    if len(devices) == 1:
        return jax.jit(function)
    program = jax.pmap(
        lambda variables, batch: function(variables, *batch), in_axes=(None, 0), devices=devices
    )

    def split(x: Any) -> Any:
        return x.reshape(len(devices), -1, *x.shape[1:]) if isinstance(x, np.ndarray) else x

    def joined(x: Any) -> np.ndarray:
        x = np.asarray(x).swapaxes(0, 1)  # [devices, turns, B / devices] -> turns first
        return x.reshape(x.shape[0], -1, *x.shape[3:])

    def run(variables: Any, *batch: Any) -> tuple[Any, Any]:
        carried, records = program(variables, jax.tree.map(split, batch))
        return carried, jax.tree.map(joined, records)

    return run
