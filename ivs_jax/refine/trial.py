"""One evaluation of a solver: at the next point of its line, or at several points as one batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ivs_jax.refine import linesearch
from ivs_jax.refine.solution import StopRule

Evaluate = Callable[[jax.Array], tuple[tuple[jax.Array, Any], jax.Array]]


class Trial(NamedTuple):
    """One evaluation.

    Attributes:
      search: the line search, whose `step` says where on the line this is.
      point, gradient: [n].
      energy: float32 [], NaN unless `finite`.
      aux: second output of the objective.
      finite: bool [], energy and gradient are numbers.
      satisfied, unchanged: bool [], what the stop rule says; False unless `finite`.
    """

    search: linesearch.Search
    point: jax.Array
    energy: jax.Array
    gradient: jax.Array
    aux: Any
    finite: jax.Array
    satisfied: jax.Array
    unchanged: jax.Array


def evaluator(
    evaluate: Evaluate, stop: StopRule | None, trials: int
) -> Callable[[linesearch.Search, jax.Array, jax.Array, Any], Trial]:
    """Returns what evaluates the next trial, or the best of several.

    It takes the search, origin and direction `[n]` of the line, and the auxiliary output of the
    evaluation before.

    Args:
      evaluate: `point -> ((energy, aux), gradient)`.
      stop: see `lbfgs.minimise`.
      trials: how many points of the line are evaluated.
    """

    def one(search: linesearch.Search, origin: jax.Array, line: jax.Array, before: Any) -> Trial:
        point = origin + search.step * line
        (energy, aux), gradient = evaluate(point)
        energy = energy.astype(jnp.float32)
        finite = jnp.isfinite(energy) & jnp.isfinite(gradient).all()
        satisfied, unchanged = (jnp.bool_(False),) * 2 if stop is None else stop(aux, before)
        return Trial(
            search=search,
            point=point,
            energy=jnp.where(finite, energy, jnp.nan),
            gradient=gradient,
            aux=aux,
            finite=finite,
            satisfied=finite & satisfied,
            unchanged=finite & unchanged,
        )

    def best(search: linesearch.Search, origin: jax.Array, line: jax.Array, before: Any) -> Trial:
        spread = linesearch.spread(search, trials)
        seen = jax.vmap(one, in_axes=(0, None, None, None))(spread, origin, line, before)
        slopes = jnp.sum(seen.gradient * line[None], -1)
        accepted = jax.vmap(linesearch.wolfe)(spread, seen.energy, slopes)
        # The lowest of the best class: satisfied, Wolfe point, finite, the shortest step.
        grade = 2 * seen.satisfied + accepted
        ranked = jnp.lexsort((spread.step, seen.energy, -grade))
        return jax.tree.map(lambda leaf: leaf[ranked[0]], seen)

    return best if trials > 1 else one
