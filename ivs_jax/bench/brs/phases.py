"""What one click spends its time on, phase by phase."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from ivs_jax.bench.brs.problem import Once, Problem
from ivs_jax.bench.brs.tasks import Task
from ivs_jax.bench.clock import Spread, compiled, spread, timed
from ivs_jax.session.answer import joined
from ivs_jax.session.window import paste_window

REPEATS = 3
FORWARD, EVALUATION = "forward", "evaluation"


@dataclass(frozen=True)
class Phases:
    """Latency of a click and what it is made of.

    Attributes:
      ms: milliseconds by phase, over tasks and repeats. "click" is encode + solve + decode. Of one
        network evaluation, "forward" is the energy, "evaluation" the energy and its gradient.
      compile: seconds to compile the programs of a click, by phase.
      evaluations: network evaluations of a solve; `mean_evaluations` is their mean.
      satisfied: share of tasks whose clicks were all obeyed, at the start and at the end.
      energy: median over the tasks, at the start and at the end.
    """

    ms: dict[str, Spread]
    compile: dict[str, float]
    evaluations: Spread
    mean_evaluations: float
    satisfied: tuple[float, float]
    energy: tuple[float, float]


def measure_phases(problem: Problem, variables: Any, tasks: Sequence[Task]) -> Phases:
    """Runs every task `REPEATS` times, phase after phase, so that all see the same machine."""
    encode, encode_s = compiled(problem.once, variables, *tasks[0].inputs)
    once = encode(variables, *tasks[0].inputs)
    solve, solve_s = compiled(problem.solve, variables, once)
    start, logits = problem.start(once), solve(variables, once).aux
    _, decode_s = compiled(partial(_decode, sides=tasks[0].sides), logits, tasks[0].box)
    parts = {FORWARD: _forward, EVALUATION: _evaluation}
    probes = {n: compiled(partial(f, problem), variables, once, start)[0] for n, f in parts.items()}
    decode = jax.jit(_decode, static_argnames="sides")

    seconds: dict[str, list[float]] = defaultdict(list)
    energies, counts, agrees = [], [], []
    for task in tasks:
        decode(logits, task.box, sides=task.sides).block_until_ready()  # compiled once a size
        for _ in range(REPEATS):
            once, encode_time = timed(encode, variables, *task.inputs)
            found, solve_time = timed(solve, variables, once)
            _, decode_time = timed(_to_host, decode, found.aux, task)
            seconds["click"].append(encode_time + solve_time + decode_time)
            seconds["encode"].append(encode_time)
            seconds["solve"].append(solve_time)
            seconds["decode"].append(decode_time)
            for name, program in probes.items():
                seconds[name].append(timed(program, variables, once, start)[1])
        begin, _ = probes[FORWARD](variables, once, start)
        energies.append((float(begin), float(found.energy)))
        counts.append(int(found.evaluations))
        agrees.append((bool(found.satisfied) and counts[-1] == 1, bool(found.satisfied)))
    ms = {name: spread([1e3 * value for value in values]) for name, values in seconds.items()}
    return Phases(
        ms=ms,
        compile={"encode": encode_s, "solve": solve_s, "decode": decode_s},
        evaluations=spread(counts),
        mean_evaluations=float(np.mean(counts)),
        satisfied=tuple(np.mean(agrees, 0).tolist()),
        energy=tuple(np.median(energies, 0).tolist()),
    )


def _decode(logits: Array, box: Array, *, sides: tuple[int, int]) -> Array:
    """Probability of the padded image, `[*sides]`."""
    return paste_window(joined(logits), box, sides)


def _to_host(decode: Callable[..., Array], logits: Array, task: Task) -> np.ndarray:
    return np.asarray(decode(logits, task.box, sides=task.sides))


def _forward(problem: Problem, variables: Any, once: Once, x: Any) -> tuple[Array, Array]:
    return problem.objective(variables, once)(x)


def _evaluation(problem: Problem, variables: Any, once: Once, x: Any) -> Any:
    return jax.value_and_grad(problem.objective(variables, once), has_aux=True)(x)
