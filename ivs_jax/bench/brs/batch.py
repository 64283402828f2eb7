"""Clicks a second when several are refined as one batch, against one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.bench.brs.problem import Once, Problem
from ivs_jax.bench.brs.tasks import Task
from ivs_jax.bench.clock import compiled, timed
from ivs_jax.types import Clicks

REPEATS = 2


@dataclass(frozen=True)
class Batch:
    """`size` clicks, encoded and solved at once; a batch runs until the last of them is done.

    Attributes:
      size: how many; tasks are taken again when there are fewer.
      per_second: clicks a second.
      gain: how many times as many as the same clicks one after the other.
      evaluations: network evaluations of a click, mean and largest: a batch pays the largest.
      evaluation_gain: the same as `gain` for single network evaluations, hence without waiting.
      compile_seconds: of the batched program.
    """

    size: int
    per_second: float
    gain: float
    evaluations: tuple[float, int]
    evaluation_gain: float
    compile_seconds: float


def measure_batches(
    problem: Problem,
    variables: Any,
    tasks: Sequence[Task],
    sizes: Sequence[int],
    *,
    patience: float,
) -> list[Batch]:
    """One entry a size, in ascending order; stops before a size that would take `patience` s."""

    def click(variables: Any, window: Array, previous: Array, clicks: Clicks) -> Any:
        found = problem.solve(variables, problem.once(variables, window, previous, clicks))
        return found.aux, found.evaluations

    def evaluate(variables: Any, once: Once) -> Any:
        objective = problem.objective(variables, once)
        return jax.value_and_grad(objective, has_aux=True)(problem.start(once))

    inputs = [task.inputs for task in tasks]
    prepare = jax.jit(problem.once)
    prepared = [(prepare(variables, *given),) for given in inputs]
    clicks = _Pair(click, variables, inputs)
    evaluations = _Pair(evaluate, variables, prepared)
    found: list[Batch] = []
    for size in sorted(set(sizes)):
        if found and size / found[-1].per_second > patience:
            break
        solved = clicks.measure(size)
        counts = np.asarray(solved.result[1])
        found.append(
            Batch(
                size=size,
                per_second=size / solved.together,
                gain=solved.gain,
                evaluations=(float(counts.mean()), int(counts.max())),
                evaluation_gain=evaluations.measure(size).gain,
                compile_seconds=solved.compile_seconds,
            )
        )
    return found


class _Measured(NamedTuple):
    """Result of a batch, seconds of it and of its items one after the other, and to compile it."""

    result: Any
    together: float
    alone: float
    compile_seconds: float

    @property
    def gain(self) -> float:
        return self.alone / self.together


class _Pair:
    """`function(variables, *arguments)` for one item, and for batches of `items`."""

    def __init__(self, function: Callable[..., Any], variables: Any, items: Sequence[Any]) -> None:
        self._function, self._variables, self._items = function, variables, items
        self._single, _ = compiled(function, variables, *items[0])

    def measure(self, size: int) -> _Measured:
        """The fastest of `REPEATS` runs each, in turns."""
        items = [self._items[i % len(self._items)] for i in range(size)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *items)
        axes = (None, *[0] * len(stacked))
        batched = jax.vmap(self._function, in_axes=axes)
        program, compile_seconds = compiled(batched, self._variables, *stacked)
        result = jax.block_until_ready(program(self._variables, *stacked))
        together, alone = [], []
        for _ in range(REPEATS):
            together.append(timed(program, self._variables, *stacked)[1])
            alone.append(sum(timed(self._single, self._variables, *item)[1] for item in items))
        return _Measured(result, min(together), min(alone), compile_seconds)
