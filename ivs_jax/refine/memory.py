"""The memory of L-BFGS, and the direction that optax makes of it.

The direction is `optax.scale_by_lbfgs`, the two-loop recursion. Its large arrays, the last steps
and changes of gradient, are kept here instead of inside its state, so that the only change of them
in a turn of the solver is one row: under `vmap` a state that some items of a batch change and
others keep would be selected whole.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Pairs(NamedTuple):
    """The rows of the memory, a ring: pair `k` lies in row `k % m`. `n` variables.

    Attributes:
      steps: float32 `[m, n]`, the steps `s`.
      changes: float32 `[m, n]`, what each did to the gradient, `y`.
    """

    steps: jax.Array
    changes: jax.Array


class Known(NamedTuple):
    """What is known of the pairs.

    Attributes:
      weights: float32 `[m]`, `1 / (s . y)` of the rows; 0 where a row does not count.
      held: int32 [], pairs since the last restart.
    """

    weights: jax.Array
    held: jax.Array


def empty(size: int, variables: int) -> tuple[Pairs, Known]:
    """A memory for `size` pairs that holds none."""
    rows = jnp.zeros((size, variables))
    return Pairs(rows, rows), Known(jnp.zeros(size), jnp.int32(0))


def written(
    pairs: Pairs, step: jax.Array, change: jax.Array, count: jax.Array, keep: jax.Array
) -> Pairs:
    """Puts the pair `step`, `change` `[n]` into the row after the last `count`, if `keep`.

    In a loop it costs a row, under `vmap` too, so it may run in every turn.
    """
    row = count % len(pairs.steps)
    return Pairs(
        pairs.steps.at[row].set(jnp.where(keep, step, pairs.steps[row])),
        pairs.changes.at[row].set(jnp.where(keep, change, pairs.changes[row])),
    )


def restarted_unless(keep: jax.Array, known: Known) -> Known:
    """Forgets all pairs, unless `keep`."""
    return Known(jnp.where(keep, known.weights, 0), jnp.where(keep, known.held, 0))


def direction(
    pairs: Pairs, known: Known, step: jax.Array, before: jax.Array, gradient: jax.Array
) -> tuple[jax.Array, Known]:
    """Minus the inverse Hessian that the pairs suggest, times `gradient` `[n]`.

    `step` led from where the gradient was `before`; the two were `written` last, and `known.held`
    counts them. Without a pair the direction is minus the gradient, at most 1 long.
    """
    lbfgs = optax.scale_by_lbfgs(len(pairs.steps))
    # optax forms the last pair itself, from the points and gradients before and now.
    state = optax.ScaleByLBFGSState(
        count=known.held,
        params=jnp.zeros_like(step),
        updates=before,
        diff_params_memory=pairs.steps,
        diff_updates_memory=pairs.changes,
        weights_memory=known.weights,
    )
    scaled, after = lbfgs.update(gradient, state, step)
    return -scaled, Known(after.weights_memory, known.held)
