"""The solver on several things at once: batches of problems, and several trials of one step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.refine.lbfgs import minimise
from tests.refine.test_lbfgs import PROBLEMS, _solve


def test_vmap_equals_single_solves():
    """Four problems that end after different numbers of turns, for different reasons."""
    scale = np.array([1.0, 4.0, 1.0, np.nan], np.float32)[:, None]
    start = np.random.default_rng(7).normal(size=(4, 8)).astype(np.float32)
    start[2] = 1  # the minimum

    def solve(x, scale):
        def objective(x):
            return jnp.sum(scale * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x * 2

        return minimise(objective, x, max_evaluations=50)

    together = jax.jit(jax.vmap(solve))(start, scale)
    alone = [jax.jit(solve)(*problem) for problem in zip(start, scale, strict=True)]
    apart = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    np.testing.assert_array_equal(together.evaluations, apart.evaluations)
    np.testing.assert_array_equal(together.status, apart.status)
    np.testing.assert_allclose(together.x, apart.x, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(together.aux, 2 * together.x, rtol=1e-6)
    np.testing.assert_allclose(together.energy, apart.energy, rtol=1e-3, atol=1e-6)
    assert len(set(np.asarray(together.evaluations).tolist())) >= 3


def test_vmap_selects_no_memory():
    """In a turn rows of the memory change; nothing chooses between whole ones, for no item."""
    size, n, batch = 6, 10, 4

    def solve(x):
        return minimise(lambda x: (jnp.sum((x - 1) ** 2), ()), x, max_evaluations=9, memory_size=6)

    program = jax.jit(jax.vmap(solve)).lower(jnp.zeros((batch, n))).compile().as_text()
    assert program is not None
    whole = [line for line in program.splitlines() if f"= f32[{batch},{size},{n}]" in line]
    assert any(" scatter(" in line for line in whole)
    assert not any(" select(" in line for line in whole)


def test_nested_vmap_and_a_batch_of_data_alone():
    def solve(x, target):
        return minimise(lambda x: (jnp.sum((x - target) ** 2), ()), x, max_evaluations=20)

    start, targets = jnp.zeros(3), jnp.arange(4.0).reshape(2, 2)
    found = jax.jit(jax.vmap(jax.vmap(solve, (None, 0)), (None, 0)))(start, targets)
    np.testing.assert_allclose(found.x, np.repeat(targets[..., None], 3, -1), atol=1e-4)
    assert found.evaluations[0, 0] == 1 and found.evaluations[0, 1] > 1


@pytest.mark.parametrize("name", ["quadratic", "features", "network"])
def test_several_trials_at_once_need_no_more_turns(name):
    make, turns = PROBLEMS[name]
    energy, start = make(np.random.default_rng(0))
    one = _solve(energy, start, turns)
    four = _solve(energy, start, 4 * turns, trials=4)
    assert four.energy <= one.energy + 0.02 * abs(one.energy)
    assert four.evaluations % 4 == 0 and one.evaluations < four.evaluations <= 4 * turns
    np.testing.assert_allclose(four.energy, energy(four.x), rtol=1e-4)


def test_several_trials_keep_the_budget_and_find_the_goal():
    stop = lambda aux, previous: (aux[0] > 0.9, jnp.bool_(False))  # noqa: E731
    energy = lambda x: jnp.sum((x - 1) ** 2)  # noqa: E731
    assert _solve(energy, np.zeros(1), 11, trials=4).evaluations == 8
    found = _solve(energy, np.zeros(1), 12, trials=4, stop=stop)
    assert found.satisfied and found.evaluations == 8 and found.x[0] > 0.9
