"""What a solve returns, and the words for how it ended and what it is given."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

RUNNING = 0  # only inside the loop
SATISFIED = 1  # the stop rule says that the goal is reached
BUDGET = 2  # evaluations (or iterations) are spent
UNCHANGED = 3  # the stop rule says that nothing changes any more
CONVERGED = 4  # the gradient is tiny, or float32 shows no further decrease
FAILED = 5  # value or gradient at the start is not finite
STATUS_NAMES = ("running", "satisfied", "budget", "unchanged", "converged", "failed")

Objective = Callable[[Any], tuple[jax.Array, Any]]
StopRule = Callable[[Any, Any], tuple[jax.Array, jax.Array]]


Keep = Literal["satisfied", "lowest", "last"]


class Solution(NamedTuple):
    """What a solve returns.

    Attributes:
      x: like `x0`, float32, the solver's last word: the satisfied evaluation, else that of lowest
        energy.
      aux: second output of the objective, e.g. logits, at the evaluation that `keep` names.
      energy: float32 [], objective there; NaN if `status` is FAILED.
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
