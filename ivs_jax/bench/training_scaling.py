"""The same step on 1, 2, 4 devices: virtual ones on CPU, each count in a process of its own.

Virtual devices share the cores of one, so nothing can get faster there: what is seen is what the
split and the mean of the gradients cost. Real accelerators are measured as they are.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from ivs_jax.bench.clock import timed
from ivs_jax.bench.training import initial_state
from ivs_jax.training.program import program
from ivs_jax.training.recipe import Recipe

_CHILD = """
import pickle, sys
from ivs_jax.bench.training_scaling import step_seconds
print("seconds", step_seconds(**pickle.load(sys.stdin.buffer)))
"""


class Scaling(NamedTuple):
    """Seconds of a step of the same batch on so many devices."""

    devices: int
    batch: int
    seconds: float

    @property
    def samples_per_second(self) -> float:
        return self.batch / self.seconds


def run_scaling(
    recipe: Recipe, counts: Sequence[int] = (1, 2, 4), *, steps: int = 3
) -> list[Scaling]:
    """Measures the recipe's step with one batch for all counts: its own, made a multiple of them.

    Raises ValueError for more accelerators than there are.
    """
    largest = max(counts)
    least = largest * recipe.accumulate
    batch = -(-recipe.batch // least) * least
    virtual = jax.default_backend() == "cpu"
    if not virtual and largest > jax.device_count():
        raise ValueError(f"--devices {largest}: expected {jax.device_count()} at most, found here")
    recipe = replace(recipe.at(0), batch=batch, samples=None, held_out=None)
    measure = _measured_in_a_process if virtual else step_seconds
    return [Scaling(n, batch, measure(recipe, devices=n, steps=steps)) for n in counts]


def scaling_lines(rows: Sequence[Scaling]) -> list[tuple[str, str]]:
    """A line for each count, with its speed over that of the first."""
    return [
        (
            f"{row.devices} device{'s' if row.devices > 1 else ''}, batch {row.batch}",
            f"{row.samples_per_second:.2f} samples a second, "
            f"{rows[0].seconds / row.seconds:.2f} x {rows[0].devices}",
        )
        for row in rows
    ]


def step_seconds(recipe: Recipe, *, devices: int, steps: int) -> float:
    """Fastest of `steps` steps on made-up samples, on the first `devices` devices."""
    step, state = program(recipe, jax.devices()[:devices]), initial_state(recipe)
    batch = recipe.task.example(recipe.batch, np.random.default_rng(recipe.seed))
    key, times = jax.random.key(recipe.seed), []
    for _ in range(steps + 1):  # the first one compiles
        (state, _), seconds = timed(step, state, batch, key)
        times.append(seconds)
    return min(times[1:])


def _measured_in_a_process(recipe: Recipe, *, devices: int, steps: int) -> float:
    flag = f"--xla_force_host_platform_device_count={devices}"
    environment = dict(os.environ, JAX_PLATFORMS="cpu")
    environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    inputs = pickle.dumps({"recipe": recipe, "devices": devices, "steps": steps})
    command = [sys.executable, "-c", _CHILD]
    done = subprocess.run(command, input=inputs, env=environment, capture_output=True)
    if done.returncode:
        problem = done.stderr.decode(errors="replace")[-500:]
        raise ValueError(f"training on {devices} virtual devices failed: {problem}")
    return float(done.stdout.split(b"seconds")[-1])
