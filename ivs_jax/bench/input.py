"""Does the input keep up? Samples per second of a recipe's samplers, against those of its step.

    ivs bench input experiments/click_small.py --data DATA

A run never waits if its feed makes samples faster than the step takes them. Both use the same
cores where the step runs on the CPU, so the share of the time that a loop over both waits for the
feed is measured as well.
"""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from ivs_jax.bench.clock import timed
from ivs_jax.data.pipeline import Sampler, feed
from ivs_jax.training.program import program
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.state import create_state

Step = Callable[[Any], Any]  # takes a batch; returns when it is done


class InputRates(NamedTuple):
    """Rates in samples per second.

    Attributes:
      per_core: of the sampler, by the processor time of one thread.
      fed: of the feed, with nothing else to do.
      demand: of the step, with its batches at hand.
      waited: share of the time of a loop over both that was spent waiting for the feed.
      workers: processes of the feed; 0 is threads of one process.
      cores: of this machine.
    """

    per_core: float
    fed: float
    demand: float
    waited: float
    workers: int
    cores: int

    @property
    def ratio(self) -> float:
        """How many times the step's demand the feed gives."""
        return self.fed / self.demand


def run_input(
    sampler: Sampler,
    step: Step,
    *,
    batch: int,
    seed: int = 0,
    workers: int = 0,
    seconds: float = 5.0,
) -> InputRates:
    """Measures sampler, feed, step and the loop of both, each for about so many seconds."""
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}, expected more than 0")
    per_core = _sampled(sampler, seed, seconds)
    batches = feed(sampler, seed=seed, batch=batch, workers=workers)
    try:
        held = next(batches)  # threads and caches are warm from here on
        fed, _ = _looped(lambda: next(batches), lambda x: None, batch, seconds)
        step(held)  # compiles
        demand, _ = _looped(lambda: held, step, batch, seconds)
        _, waited = _looped(lambda: next(batches), step, batch, seconds)
    finally:
        batches.close()
    return InputRates(per_core, fed, demand, waited, workers, os.cpu_count() or 1)


def _sampled(sampler: Sampler, seed: int, seconds: float) -> float:
    """Samples per second of processor time of this thread; waiting for disks is not counted."""
    sampler(np.random.default_rng((seed, 0)))
    ends, began, count = time.perf_counter() + seconds, time.thread_time(), 0
    while time.perf_counter() < ends or not count:
        count += 1
        sampler(np.random.default_rng((seed, count)))
    return count / (time.thread_time() - began)


def _looped(get: Callable[[], Any], step: Step, batch: int, seconds: float) -> tuple[float, float]:
    """Samples per second of a loop, and the share of the time that `get` took.

    Batches that were made before the clock ran are not counted as made in no time: the loop goes on
    for at least five.
    """
    began = time.perf_counter()
    count, waited = 0, 0.0
    while (spent := time.perf_counter() - began) < seconds or count < 5:
        found, wait = timed(get)
        step(found)
        waited += wait
        count += 1
    return count * batch / spent, waited / spent


def recipe_step(recipe: Recipe) -> Step:
    """The first stage's training step of a recipe on this host's devices, from random weights."""
    recipe = recipe.at(0)
    key = jax.random.key(recipe.seed)
    variables = recipe.task.initial(key)
    state = create_state(variables, recipe.transformation(), ema=recipe.ema is not None)
    take = program(recipe, jax.devices())

    def step(batch: Any) -> Any:
        nonlocal state
        state, metrics = take(state, batch, key)
        return jax.block_until_ready(metrics)

    return step


def demanding(rate: float, batch: int) -> Step:
    """A step that takes `rate` samples per second and computes nothing, as one on an accelerator.

    Raises ValueError for a rate that is not positive.
    """
    if rate <= 0:
        raise ValueError(f"demand is {rate} samples per second, expected more than 0")
    return lambda _: time.sleep(batch / rate)
