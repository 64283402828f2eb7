"""Three solvers on one objective: ours, SciPy's L-BFGS-B on the host, `optax.lbfgs` as it comes.

No early stop; each runs until a budget of network evaluations (value and gradient) is spent or it
finds no further decrease. What counts is the energy of every evaluation, and the time of one.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from scipy.optimize import fmin_l_bfgs_b

from ivs_jax.bench.brs.problem import Once, Problem
from ivs_jax.refine.lbfgs import Objective, minimise

OURS, SCIPY, OPTAX, BARE = "ivs_jax", "SciPy", "optax", "bare loop"
SOLVERS = (OURS, SCIPY, OPTAX)


class Trace(NamedTuple):
    """One run of a solver.

    Attributes:
      energies: `[n]`, of the evaluations in their order, at most the budget of them.
      seconds: of the whole run for each evaluation; NaN if it was not timed.
    """

    energies: np.ndarray
    seconds: float

    def best(self, budget: int) -> np.ndarray:
        """Lowest energy so far after 1, 2, ... `budget` evaluations; a solver that ended stays."""
        lowest = np.fmin.accumulate(np.where(np.isfinite(self.energies), self.energies, np.inf))
        return np.concatenate([lowest, np.full(budget - len(lowest), lowest[-1])])


class Solvers:
    """The three on the objectives of `problem`. The compiled solvers run twice for a trace: once
    for the time, and once with a callback that notes the energies."""

    def __init__(self, problem: Problem, variables: Any, *, budget: int) -> None:
        self._problem, self._variables, self._budget = problem, variables, budget
        self._noted: list[float] = []
        loops = {OURS: our_loop, OPTAX: optax_loop}
        options = {"budget": budget, "memory_size": problem.config.memory_size}
        self._noting = {n: jax.jit(partial(self._run, f, options, True)) for n, f in loops.items()}
        loops[BARE] = bare_loop
        self._plain = {n: jax.jit(partial(self._run, f, options, False)) for n, f in loops.items()}
        self._evaluate = jax.jit(self._flat_evaluation)

    def warm(self, once: Once) -> None:
        """Compiles everything."""
        for program in (*self._plain.values(), *self._noting.values()):
            jax.block_until_ready(program(self._variables, once))
        flat, _ = ravel_pytree(self._problem.start(once))
        jax.block_until_ready(self._evaluate(self._variables, once, flat))
        jax.effects_barrier()

    def traces(self, once: Once, *, timed: bool = True) -> dict[str, Trace]:
        """A trace of each solver, run in turns, and one without energies of the bare loop.

        Without `timed` only SciPy's, whose time costs nothing more, has seconds.
        """
        seconds = dict.fromkeys(self._plain, float("nan"))
        if timed:
            seconds = {name: self._seconds(self._plain[name], once) for name in self._plain}
        noted = {name: self._energies(self._noting[name], once) for name in self._noting}
        return {
            OURS: Trace(noted[OURS], seconds[OURS]),
            SCIPY: self._scipy(once),
            OPTAX: Trace(noted[OPTAX], seconds[OPTAX]),
            BARE: Trace(np.zeros(0), seconds[BARE]),
        }

    def _run(
        self,
        loop: Callable[..., Array],
        options: dict[str, int],
        note: bool,
        variables: Any,
        once: Once,
    ) -> Array:
        objective = self._problem.objective(variables, once)

        def noting(x: Any) -> tuple[Array, Any]:
            energy, aux = objective(x)
            jax.debug.callback(lambda value: self._noted.append(float(value)), energy, ordered=True)
            return energy, aux

        return loop(noting if note else objective, self._problem.start(once), **options)

    def _seconds(self, program: Callable[..., Array], once: Once) -> float:
        began = time.perf_counter()
        count = int(program(self._variables, once))
        return (time.perf_counter() - began) / count

    def _energies(self, program: Callable[..., Array], once: Once) -> np.ndarray:
        self._noted.clear()
        count = int(program(self._variables, once))
        jax.effects_barrier()
        if len(self._noted) != count:
            raise RuntimeError(f"a solver reports {count} evaluations, made {len(self._noted)}")
        return np.array(self._noted[: self._budget])

    def _scipy(self, once: Once) -> Trace:
        start, _ = ravel_pytree(self._problem.start(once))
        energies: list[float] = []

        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self._evaluate(self._variables, once, x.astype(np.float32))
            energies.append(float(value))
            return energies[-1], np.asarray(gradient, np.float64)

        options = {"m": self._problem.config.memory_size, "factr": 0.0, "pgtol": 0.0}
        began = time.perf_counter()
        fmin_l_bfgs_b(evaluate, np.asarray(start, np.float64), maxfun=self._budget, **options)
        seconds = (time.perf_counter() - began) / len(energies)
        return Trace(np.array(energies[: self._budget]), seconds)

    def _flat_evaluation(self, variables: Any, once: Once, x: Array) -> tuple[Array, Array]:
        """Energy and gradient `[n]` at `x` `[n]`."""
        _, unravel = ravel_pytree(self._problem.start(once))
        objective = self._problem.objective(variables, once)
        return jax.value_and_grad(lambda x: objective(unravel(x))[0])(x)


def our_loop(objective: Objective, start: Any, *, budget: int, memory_size: int) -> Array:
    """Our solver without stop rule; returns the number of evaluations, int32 []."""
    return minimise(
        objective,
        start,
        max_evaluations=budget,
        memory_size=memory_size,
        gradient_tolerance=0.0,
    ).evaluations


def bare_loop(objective: Objective, start: Any, *, budget: int, memory_size: int) -> Array:
    """As many evaluations in a loop, each where the one before leads, and nothing else."""
    evaluate = jax.value_and_grad(objective, has_aux=True)

    def turn(_: Any, x: Any) -> Any:
        (energy, _), gradient = evaluate(x)
        return jax.tree.map(lambda a, b: a - (1e-3 + 1e-9 * energy) * b, x, gradient)

    end = jax.lax.fori_loop(0, budget, turn, start)
    # The result depends on all of them, so that none is optimised away.
    return budget + (0 * ravel_pytree(end)[0][0]).astype(jnp.int32)


def optax_loop(objective: Objective, start: Any, *, budget: int, memory_size: int) -> Array:
    """`optax.lbfgs` with its own line search in a while loop, as its documentation has it.

    Returns the number of evaluations, int32 []: it ends with the step that reaches the budget.
    """

    def value(x: Any) -> Array:
        return objective(x)[0]

    solver = optax.lbfgs(memory_size=memory_size)
    value_and_grad = optax.value_and_grad_from_state(value)

    def step(carry: Any) -> Any:
        x, state, count, steps = carry
        energy, gradient = value_and_grad(x, state=state)
        updates, state = solver.update(
            gradient, state, x, value=energy, grad=gradient, value_fn=value
        )
        tried = optax.tree_utils.tree_get(state, "num_linesearch_steps")
        count = count + tried + (steps == 0)  # the first value and gradient are not in the state
        return optax.apply_updates(x, updates), state, count, steps + 1

    # A step without a trial would not end: no more steps than evaluations.
    begin = (start, solver.init(start), jnp.int32(0), jnp.int32(0))
    return jax.lax.while_loop(lambda c: (c[2] < budget) & (c[3] < budget), step, begin)[2]
