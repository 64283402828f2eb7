"""L-BFGS as one `while_loop` with one value-and-gradient per turn.

Usual codes nest a line search inside the iteration. Here both are one flat loop: every turn
evaluates the trial point, then a state machine (`linesearch`) decides whether to try another step
or to accept and take a new direction. Why:

- One evaluation site: the network is compiled once, and `vmap` stays right and cheap (a `lax.cond`
  around a second site would run both branches).
- The number of evaluations is the number of turns, so the count and the budget are exact.
- The auxiliary output (logits) of every evaluation is at hand: no extra forward pass is ever
  needed, and the stop rules see every evaluation, those of the line search included.
- Value and gradient of an accepted trial are never computed again.

The direction is optax's two-loop recursion (`optax.scale_by_lbfgs`). Line search, restart on pairs
of non-positive curvature, budget, stop rules and NaN safety are ours. Under `vmap` the loop runs
until all items are done; finished items stay as they are.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from ivs_jax.refine import linesearch

RUNNING = 0  # only inside the loop
SATISFIED = 1  # the stop rule says that the goal is reached
BUDGET = 2  # evaluations (or iterations) are spent
UNCHANGED = 3  # the stop rule says that nothing changes any more
CONVERGED = 4  # the gradient is tiny, or float32 shows no further decrease
FAILED = 5  # value or gradient at the start is not finite
STATUS_NAMES = ("running", "satisfied", "budget", "unchanged", "converged", "failed")

Objective = Callable[[Any], tuple[jax.Array, Any]]
StopRule = Callable[[Any, Any], tuple[jax.Array, jax.Array]]


class Solution(NamedTuple):
    """What a solve returns; one point and everything that was computed there.

    Attributes:
      x: like `x0`, float32: the satisfied evaluation, else the evaluation of lowest energy.
      aux: second output of the objective at `x`, e.g. logits.
      energy: float32 [], objective at `x`; NaN if `status` is FAILED.
      evaluations: int32 [], value-and-gradient evaluations used, line search included.
      satisfied: bool [], whether the stop rule was satisfied at `x`.
      status: int32 [], why it ended: SATISFIED, BUDGET, UNCHANGED, CONVERGED or FAILED.
    """

    x: Any
    aux: Any
    energy: jax.Array
    evaluations: jax.Array
    satisfied: jax.Array
    status: jax.Array


class _Course(NamedTuple):
    """Where the solver goes; `n` is the number of variables.

    Attributes:
      origin: [n], the last accepted point; trials are `origin + search.step * direction`.
      direction: [n], descent direction at `origin`; 0 before the first evaluation.
      low_gradient: [n], gradient at the lowest point of the line search.
      search: state of the line search.
      memory: state of `optax.scale_by_lbfgs`.
    """

    origin: jax.Array
    direction: jax.Array
    low_gradient: jax.Array
    search: linesearch.Search
    memory: Any


class _State(NamedTuple):
    """Loop state.

    Attributes:
      status, evaluations, iterations: int32 [].
      course: what to try next.
      previous: auxiliary output of the previous evaluation.
      best, best_aux, best_energy: the point that will be returned.
    """

    status: jax.Array
    evaluations: jax.Array
    iterations: jax.Array
    course: _Course
    previous: Any
    best: jax.Array
    best_aux: Any
    best_energy: jax.Array


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
) -> Solution:
    """Minimises `objective` from `x0` with at most `max_evaluations` evaluations.

    Pure, and may be put under `jit` and `vmap`. It traces `objective` anew in every call, so call
    it inside a jitted function that takes the data as arguments: then new data of the same shapes
    do not compile again. It does not raise on NaN (it may run inside `jit`): a trial that is not
    finite shrinks the step, a start that is not finite returns `status == FAILED`.

    Args:
      objective: `x -> (energy float32 [], aux)`; aux is any pytree of arrays.
      x0: start, a pytree of float32 arrays. If it satisfies the stop rule, one evaluation is used
        and `x0` is returned.
      max_evaluations: budget of value-and-gradient evaluations, kept exactly; at least 1.
      max_iterations: budget of accepted steps, None for no limit.
      memory_size: pairs kept for the curvature (`m`).
      stop: `(aux, previous_aux) -> (satisfied bool [], unchanged bool [])`, asked at every
        evaluation about it and the one before (`unchanged` is ignored at the first).
      gradient_tolerance: converged if no gradient entry is larger (SciPy's `pgtol`).

    Returns:
      A `Solution`.

    Raises:
      ValueError: if a budget or `memory_size` is below 1.
    """
    for name, size in (
        ("max_evaluations", max_evaluations),
        ("max_iterations", 1 if max_iterations is None else max_iterations),
        ("memory_size", memory_size),
    ):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, found {size}")
    start, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), x0))
    lbfgs = optax.scale_by_lbfgs(memory_size)
    evaluate = jax.value_and_grad(lambda x: objective(unravel(x)), has_aux=True)

    def turn(s: _State) -> _State:
        first = s.evaluations == 0
        point = s.course.origin + s.course.search.step * s.course.direction
        (energy, aux), gradient = evaluate(point)
        energy = energy.astype(jnp.float32)
        finite = jnp.isfinite(energy) & jnp.isfinite(gradient).all()
        energy = jnp.where(finite, energy, jnp.nan)

        satisfied, unchanged = (jnp.bool_(False),) * 2 if stop is None else stop(aux, s.previous)
        satisfied, unchanged = finite & satisfied, finite & unchanged & ~first
        better = first | (finite & (satisfied | (energy < s.best_energy)))

        arrival = _arrive(s.course, energy, gradient, first)
        evaluations = s.evaluations + 1
        iterations = s.iterations + (arrival.done & ~first)
        flat = jnp.max(jnp.abs(arrival.gradient), initial=0.0) <= gradient_tolerance
        spent = evaluations >= max_evaluations
        if max_iterations is not None:
            spent |= iterations >= max_iterations
        status = jnp.select(
            [first & ~finite, satisfied, unchanged, arrival.done & (flat | arrival.stuck), spent],
            [jnp.int32(i) for i in (FAILED, SATISFIED, UNCHANGED, CONVERGED, BUDGET)],
            jnp.int32(RUNNING),
        )
        return _State(
            status=status,
            evaluations=evaluations,
            iterations=iterations,
            course=jax.lax.cond(
                arrival.done & (status == RUNNING),
                lambda arrival: _new_course(lbfgs, arrival, first),
                lambda arrival: arrival.course,
                arrival,
            ),
            previous=_where(first | finite, aux, s.previous),
            best=jnp.where(better, point, s.best),
            best_aux=_where(better, aux, s.best_aux),
            best_energy=jnp.where(better, energy, s.best_energy),
        )

    _, aux = jax.eval_shape(objective, unravel(start))
    initial = _initial(start, lbfgs.init(start), aux)
    end = jax.lax.while_loop(lambda s: s.status == RUNNING, turn, initial)
    return Solution(
        x=unravel(end.best),
        aux=end.best_aux,
        energy=end.best_energy,
        evaluations=end.evaluations,
        satisfied=end.status == SATISFIED,
        status=end.status,
    )


def _initial(start: jax.Array, memory: Any, aux: Any) -> _State:
    """The state before the first evaluation, whose trial point is the start; `aux` gives shapes."""
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), aux)
    zero, count, still = jnp.float32(0), jnp.int32(0), jnp.zeros_like(start)
    return _State(
        status=jnp.int32(RUNNING),
        evaluations=count,
        iterations=count,
        course=_Course(start, still, still, linesearch.begin(zero, zero, zero), memory),
        previous=blank,
        best=start,
        best_aux=blank,
        best_energy=jnp.float32(jnp.inf),
    )


def _arrive(course: _Course, energy: jax.Array, gradient: jax.Array, first: jax.Array) -> _Arrival:
    """Gives the evaluation to the line search; the `first` one is accepted as it is."""
    base, slope = course.search.start, jnp.sum(gradient * course.direction)
    search, verdict = linesearch.advance(course.search, energy, slope)
    low_gradient = jnp.where(verdict.lowered, gradient, course.low_gradient)
    is_trial = first | verdict.accepted
    trial = linesearch.Point(course.search.step, energy, slope)
    point = _where(is_trial, trial, search.low)
    # No decrease is final along the plain gradient, or where none was to be seen; else restart.
    hopeless = (course.memory.count == 1) | (-base.slope < linesearch.resolution(base))
    return _Arrival(
        course=course._replace(search=search, low_gradient=low_gradient),
        done=is_trial | verdict.exhausted,
        point=point,
        gradient=jnp.where(is_trial, gradient, low_gradient),
        stuck=~first & (point.value >= base.value) & hopeless,
    )


def _new_course(
    lbfgs: optax.GradientTransformation, arrival: _Arrival, first: jax.Array
) -> _Course:
    """Moves the origin to the point of arrival and takes a new direction from there."""
    course, point = arrival.course, arrival.point
    # Curvature y.s > 0, asked as L-BFGS-B does: relative to the decrease, from the two slopes.
    base = course.search.start
    positive = point.slope - base.slope > -1e-7 * base.slope
    keep = ~first & (point.step > 0) & positive
    origin = course.origin + point.step * course.direction
    direction, memory, slope = _descend(lbfgs, arrival.gradient, origin, course.memory, keep)
    # The very first step has length 1, as in L-BFGS-B; later ones start at step 1.
    length = jnp.sqrt(jnp.sum(direction**2))
    step = jnp.where(first, 1 / jnp.maximum(length, 1e-30), jnp.float32(1))
    search = linesearch.begin(point.value, slope, step)
    return _Course(origin, direction, arrival.gradient, search, memory)


def _descend(
    lbfgs: optax.GradientTransformation,
    gradient: jax.Array,
    origin: jax.Array,
    memory: Any,
    keep: jax.Array,
) -> tuple[jax.Array, Any, jax.Array]:
    """L-BFGS direction at `origin`, the new memory and the slope along the direction.

    Without `keep` (a pair of non-positive curvature, or no pair yet), and when the recursion gives
    no descent, the memory restarts: its weights are 0 and the direction is the plain gradient,
    at most 1 long. `memory.count == 1` marks that.
    """
    memory = _restart_unless(keep, memory, 0)
    scaled, memory = lbfgs.update(gradient, memory, origin)
    slope = -jnp.sum(scaled * gradient)
    descends = jnp.isfinite(slope) & (slope < 0)
    norm = jnp.sqrt(jnp.sum(gradient**2))
    plain = gradient / jnp.maximum(norm, 1)
    return (
        -jnp.where(descends, scaled, plain),
        _restart_unless(descends, memory, 1),
        jnp.where(descends, slope, -jnp.sum(plain * gradient)),
    )


def _restart_unless(keep: jax.Array, memory: Any, count: int) -> Any:
    """Pairs of weight 0 do not count in the recursion, so their arrays need no clearing."""
    return memory._replace(
        count=jnp.where(keep, memory.count, count),
        weights_memory=jnp.where(keep, memory.weights_memory, 0),
    )


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
