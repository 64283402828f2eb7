"""The benchmark of input: what is fast enough and what is not comes out as such."""

import time
from typing import NamedTuple

import numpy as np
import pytest

from ivs_jax.bench.input import demanding, run_input

pytest.importorskip("grain", reason="the extra `data` is not installed")


class Sample(NamedTuple):
    value: np.ndarray


def quick(rng):
    return Sample(rng.random(3))


def slow(rng):
    time.sleep(0.02)
    return Sample(rng.random(3))


def test_a_fast_sampler_leaves_the_step_no_time_to_wait():
    found = run_input(quick, demanding(40, 2), batch=2, seconds=0.2)
    assert 25 < found.demand <= 40  # sleeps are never too short
    assert found.fed > 2 * found.demand and found.ratio == found.fed / found.demand
    assert found.waited < 0.3 and found.per_core > 100 and found.workers == 0


def test_a_slow_sampler_is_waited_for():
    found = run_input(slow, demanding(1000, 4), batch=4, seconds=0.2)
    assert found.ratio < 1 and found.waited > 0.5  # threads make 100 a second at most
    assert found.per_core > 1000  # sleeping takes no processor time


def test_the_step_gets_batches_and_is_warmed_up_before_the_clock():
    seen = []

    def step(batch):
        seen.append(batch.value.shape)
        time.sleep(0.5 if len(seen) == 1 else 0.01)

    found = run_input(quick, step, batch=3, seconds=0.1)
    assert set(seen) == {(3, 3)} and found.demand > 60


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: demanding(0, 2), "demand is 0 samples per second, expected more than 0"),
        (lambda: run_input(quick, print, batch=2, seconds=0), "seconds is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
