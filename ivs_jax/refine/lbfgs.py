"""L-BFGS as one `while_loop` with one value-and-gradient per turn.

Usual codes nest a line search inside the iteration. Here both are one flat loop: every turn
evaluates the trial point, then a state machine (`linesearch`) decides whether to try another step
or to accept and take a new direction. Why:

- One site of value and gradient: it is compiled once, and `vmap` stays right and cheap (a
  `lax.cond` around a second site would run both branches).
- The number of evaluations is the number of turns, so the count and the budget are exact.
- The auxiliary output (logits) of every evaluation is at hand: no extra forward pass is ever
  needed, and the stop rules see every evaluation, those of the line search included.
- Value and gradient of an accepted trial are never computed again.

Most clicks are obeyed before anything is optimised. So where there is a stop rule the start is
looked at without a gradient first, which costs a third of an evaluation, and only if it does not
satisfy does the loop begin (with that point again, for its gradient).

The direction is optax's (`optax.scale_by_lbfgs`, in `memory`), the next step comes from
`linesearch`. Restart on pairs of non-positive curvature, budget, stop rules and NaN safety are
here.

Under `vmap` the loop runs until all items are done. Each turn still evaluates the finished ones (a
batch is one call of the network), but nothing of theirs changes, their count neither. JAX would see
to that by selecting between the old and the new state of every item, memory included: in a batch
of 16 that took longer than all else the solver does. So the turn itself leaves finished items alone
and the loop asks one question for the whole batch, see `_anyone`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.flatten_util import ravel_pytree

from ivs_jax.refine import linesearch
from ivs_jax.refine.memory import Known, Pairs, direction, empty, restarted_unless, written
from ivs_jax.refine.solution import (
    BUDGET,
    CONVERGED,
    FAILED,
    RUNNING,
    SATISFIED,
    UNCHANGED,
    Keep,
    Objective,
    Solution,
    StopRule,
)
from ivs_jax.refine.trial import Trial, evaluator


class _Course(NamedTuple):
    """Where the solver goes; `n` is the number of variables.

    Attributes:
      origin: [n], the last accepted point; trials are `origin + search.step * direction`.
      gradient: [n], at `origin`.
      direction: [n], descent direction at `origin`; 0 before the first evaluation.
      low_gradient: [n], gradient at the lowest point of the line search.
      search: state of the line search.
    """

    origin: jax.Array
    gradient: jax.Array
    direction: jax.Array
    low_gradient: jax.Array
    search: linesearch.Search


class _State(NamedTuple):
    """Loop state.

    Attributes:
      status, evaluations, iterations: int32 [].
      course: what to try next.
      pairs, known: the memory.
      previous: auxiliary output of the previous evaluation.
      best: [n], the point that will be returned.
      lowest: float32 [], lowest energy so far.
      kept_aux, kept_energy: of the evaluation that will be returned.
    """

    status: jax.Array
    evaluations: jax.Array
    iterations: jax.Array
    course: _Course
    pairs: Pairs
    known: Known
    previous: Any
    best: jax.Array
    lowest: jax.Array
    kept_aux: Any
    kept_energy: jax.Array


class _Arrival(NamedTuple):
    """What a trial led to.

    Attributes:
      course: with the next trial of the same line search.
      done: bool [], the line search is over; go on from `point` instead.
      point: of the line; if step is 0, no lower point was found.
      gradient: [n], at `point`.
      stuck: bool [], no decrease, and a restart would find none either.
    """

    course: _Course
    done: jax.Array
    point: linesearch.Point
    gradient: jax.Array
    stuck: jax.Array


def minimise(
    objective: Objective,
    x0: Any,
    *,
    max_evaluations: int,
    max_iterations: int | None = None,
    memory_size: int = 20,
    stop: StopRule | None = None,
    gradient_tolerance: float = 1e-8,
    keep: Keep = "satisfied",
    trials: int = 1,
) -> Solution:
    """Minimises `objective` from `x0` with at most `max_evaluations` evaluations.

    Pure, and may be put under `jit` and `vmap`. It traces `objective` anew in every call, so call
    it inside a jitted function that takes the data as arguments: then new data of the same shapes
    do not compile again.

    A compiled program cannot raise. A trial that is not finite shrinks the step; a start that is
    not finite returns `status == FAILED`, and whoever brings the solution to the host raises.

    Args:
      objective: `x -> (energy float32 [], aux)`; aux is any pytree of arrays.
      x0: start, a pytree of float32 arrays. If it satisfies the stop rule it is returned, counted
        as one evaluation though no gradient was computed. Else this look is not counted.
      max_evaluations: budget of value-and-gradient evaluations, kept exactly; at least `trials`.
      max_iterations: budget of accepted steps, None for no limit.
      memory_size: pairs kept for the curvature (`m`).
      stop: `(aux, previous_aux) -> (satisfied bool [], unchanged bool [])`, asked at every
        evaluation about it and the one before (`unchanged` is ignored at the first).
      gradient_tolerance: converged if no gradient entry is larger (SciPy's `pgtol`).
      keep: whose `aux` and `energy` are returned: of the "satisfied" evaluation, else of the one
        of lowest energy (then they belong to `x`); of the one of "lowest" energy; of the "last".
      trials: points of the line that are evaluated together, as one batch, in every turn. The
        count goes up by so many a turn, the first one (all at `x0`) included.

    Returns:
      A `Solution`.

    Raises:
      ValueError: if a budget or a size is too small.
    """
    for name, size, least in (
        ("trials", trials, 1),
        ("max_evaluations", max_evaluations, trials),
        ("max_iterations", 1 if max_iterations is None else max_iterations, 1),
        ("memory_size", memory_size, 1),
    ):
        if size < least:
            raise ValueError(f"{name} must be at least {least}, found {size}")
    start, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), x0))
    evaluate = jax.value_and_grad(lambda x: objective(unravel(x)), has_aux=True)
    look = evaluator(evaluate, stop, trials)

    def turn(s: _State) -> _State:
        # Under `vmap` finished items come here too: what follows must not change them.
        active, first = s.status == RUNNING, s.evaluations == 0
        line = s.course
        seen = look(line.search, line.origin, line.direction, s.previous)
        finite, energy = seen.finite, seen.energy
        satisfied, unchanged = seen.satisfied, seen.unchanged & ~first
        lower = first | (finite & (energy < s.lowest))
        kept = {"satisfied": lower | satisfied, "lowest": lower, "last": first | finite}[keep]

        arrival = _arrive(s, seen, first)
        evaluations = s.evaluations + active * trials
        iterations = s.iterations + (active & arrival.done & ~first)
        flat = jnp.max(jnp.abs(arrival.gradient), initial=0.0) <= gradient_tolerance
        spent = evaluations + trials > max_evaluations
        if max_iterations is not None:
            spent |= iterations >= max_iterations
        status = jnp.select(
            [
                ~active,
                first & ~finite,
                satisfied,
                unchanged,
                arrival.done & (flat | arrival.stuck),
                spent,
            ],
            [s.status, *(jnp.int32(i) for i in (FAILED, SATISFIED, UNCHANGED, CONVERGED, BUDGET))],
            jnp.int32(RUNNING),
        )
        arrived = active & arrival.done & (status == RUNNING)
        course, pairs, known = _go_on(s, arrival, arrived, first)
        return _State(
            status=status,
            evaluations=evaluations,
            iterations=iterations,
            course=course,
            pairs=pairs,
            known=known,
            previous=_where(active & (first | finite), seen.aux, s.previous),
            best=jnp.where(active & (lower | satisfied), seen.point, s.best),
            lowest=jnp.where(active & lower, energy, s.lowest),
            kept_aux=_where(active & kept, seen.aux, s.kept_aux),
            kept_energy=jnp.where(active & kept, energy, s.kept_energy),
        )

    def descended(glance: Solution) -> Solution:
        initial = _initial(glance, *empty(memory_size, start.size))
        end = jax.lax.while_loop(lambda s: _anyone(s.status == RUNNING), turn, initial)
        return Solution(
            x=end.best,
            aux=end.kept_aux,
            energy=end.kept_energy,
            evaluations=end.evaluations,
            satisfied=end.status == SATISFIED,
            status=end.status,
        )

    if stop is None:
        solution = descended(_unseen(start, jax.eval_shape(objective, unravel(start))[1]))
    else:
        glance = _glance(start, *objective(unravel(start)), stop)
        running = _anyone(glance.status == RUNNING)
        solution = jax.lax.cond(running, descended, lambda seen: seen, glance)
    return solution._replace(x=unravel(solution.x))


@custom_vmap
def _anyone(running: jax.Array) -> jax.Array:
    """`running`, bool []; under `vmap` whether any item is, one answer for the whole batch."""
    return running


@_anyone.def_vmap
def _anyone_of_batch(
    axis_size: int, in_batched: list[bool], running: jax.Array
) -> tuple[jax.Array, bool]:
    return _anyone(running.any(0) if in_batched[0] else running), False


def _unseen(start: jax.Array, aux: Any) -> Solution:
    """`start` before anything is known of it; `aux` gives shapes."""
    return Solution(
        x=start,
        aux=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), aux),
        energy=jnp.float32(jnp.inf),
        evaluations=jnp.int32(0),
        satisfied=jnp.bool_(False),
        status=jnp.int32(RUNNING),
    )


def _glance(start: jax.Array, energy: jax.Array, aux: Any, stop: StopRule) -> Solution:
    """`start` if energy and `aux` there satisfy, else the same as unseen."""
    unseen = _unseen(start, aux)
    satisfied = stop(aux, unseen.aux)[0] & jnp.isfinite(energy)
    return Solution(
        x=start,
        aux=_where(satisfied, aux, unseen.aux),
        energy=jnp.where(satisfied, energy.astype(jnp.float32), unseen.energy),
        evaluations=satisfied.astype(jnp.int32),
        satisfied=satisfied,
        status=jnp.where(satisfied, jnp.int32(SATISFIED), unseen.status),
    )


def _initial(glance: Solution, pairs: Pairs, known: Known) -> _State:
    """The state before the loop: done, or about to evaluate the start."""
    zero, still = jnp.float32(0), jnp.zeros_like(glance.x)
    search = linesearch.begin(zero, zero, zero)
    return _State(
        status=glance.status,
        evaluations=glance.evaluations,
        iterations=jnp.int32(0),
        course=_Course(glance.x, still, still, still, search),
        pairs=pairs,
        known=known,
        previous=jax.tree.map(jnp.zeros_like, glance.aux),
        best=glance.x,
        lowest=jnp.float32(jnp.inf),
        kept_aux=glance.aux,
        kept_energy=glance.energy,
    )


def _arrive(s: _State, seen: Trial, first: jax.Array) -> _Arrival:
    """Gives the evaluation to the line search; the `first` one is accepted as it is."""
    course, gradient = s.course, seen.gradient
    base, slope = course.search.start, jnp.sum(gradient * course.direction)
    search, verdict = linesearch.advance(seen.search, seen.energy, slope)
    low_gradient = jnp.where(verdict.lowered, gradient, course.low_gradient)
    is_trial = first | verdict.accepted
    trial = linesearch.Point(seen.search.step, seen.energy, slope)
    point = _where(is_trial, trial, search.low)
    # No decrease is final along the plain gradient, or where none was to be seen; else restart.
    hopeless = (s.known.held == 0) | (-base.slope < linesearch.resolution(base))
    return _Arrival(
        course=course._replace(search=search, low_gradient=low_gradient),
        done=is_trial | verdict.exhausted,
        point=point,
        gradient=jnp.where(is_trial, gradient, low_gradient),
        stuck=~first & (point.value >= base.value) & hopeless,
    )


def _go_on(
    s: _State, arrival: _Arrival, arrived: jax.Array, first: jax.Array
) -> tuple[_Course, Pairs, Known]:
    """What to try next: another step, or if `arrived` a new direction from the new origin.

    The pairs, which are large, are written outside the `cond`: under `vmap` that is a select.
    """
    point, before = arrival.point, s.course
    # Curvature y.s > 0, asked as L-BFGS-B does: relative to the decrease, from the two slopes.
    base = before.search.start
    positive = point.slope - base.slope > -1e-7 * base.slope
    keep = arrived & ~first & (point.step > 0) & positive
    step = point.step * before.direction
    change = arrival.gradient - before.gradient
    pairs = written(s.pairs, step, change, s.known.held, keep)

    def turned() -> tuple[_Course, Known]:
        known = restarted_unless(keep, s.known._replace(held=s.known.held + 1))
        towards, known = direction(pairs, known, step, before.gradient, arrival.gradient)
        towards, slope, known = _descending(towards, known, arrival.gradient)
        # The very first step has length 1, as in L-BFGS-B; later ones start at step 1.
        length = jnp.sqrt(jnp.sum(towards**2))
        trial = jnp.where(first, 1 / jnp.maximum(length, 1e-30), jnp.float32(1))
        search = linesearch.begin(point.value, slope, trial)
        gradient = arrival.gradient
        return _Course(before.origin + step, gradient, towards, gradient, search), known

    course, known = jax.lax.cond(arrived, turned, lambda: (arrival.course, s.known))
    return course, pairs, known


def _descending(
    towards: jax.Array, known: Known, gradient: jax.Array
) -> tuple[jax.Array, jax.Array, Known]:
    """A direction, the slope along it, and the memory that it leaves.

    Where `towards` is no descent the memory restarts and the plain gradient takes its place, at
    most 1 long.
    """
    slope = jnp.sum(towards * gradient)
    descends = jnp.isfinite(slope) & (slope < 0)
    plain = -gradient / jnp.maximum(jnp.sqrt(jnp.sum(gradient**2)), 1)
    return (
        jnp.where(descends, towards, plain),
        jnp.where(descends, slope, jnp.sum(plain * gradient)),
        restarted_unless(descends, known),
    )


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
