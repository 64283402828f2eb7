"""The direction of the memory against a plain two-loop recursion over a list of pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.refine import memory

SIZE, VARIABLES = 5, 12
STIFFNESS = np.logspace(0, 2, VARIABLES)


def gradient_at(x):
    return STIFFNESS * x + np.sin(x)


def course(count, seed=0):
    """Steps of a descent and the gradients before and after each: `(step, before, after)`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=VARIABLES)
    for _ in range(count):
        before = gradient_at(x)
        step = -0.02 * before * rng.uniform(0.1, 1, VARIABLES)
        x = x + step
        yield tuple(np.asarray(v, np.float32) for v in (step, before, gradient_at(x)))


def two_loops(pairs, gradient):
    """Nocedal & Wright, algorithm 7.4, in float64; `pairs` from the oldest to the newest."""
    q, alphas = np.asarray(gradient, np.float64), []
    for step, change in reversed(pairs):
        alphas.append(step @ q / (step @ change))
        q = q - alphas[-1] * change
    step, change = pairs[-1]
    q = q * (step @ change) / (change @ change)
    for (step, change), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + step * (alpha - change @ q / (step @ change))
    return -q


@jax.jit
def add(pairs, known, step, before, after):
    pairs = memory.written(pairs, step, after - before, known.held, jnp.bool_(True))
    known = known._replace(held=known.held + 1)
    towards, known = memory.direction(pairs, known, step, before, after)
    return pairs, known, towards


def test_direction_is_that_of_the_plain_recursion():
    held = memory.empty(SIZE, VARIABLES)
    pairs: list = []
    for step, before, after in course(3 * SIZE):  # the ring goes round
        *held, found = add(*held, step, before, after)
        pairs = [*pairs, (step.astype(float), after.astype(float) - before)][-SIZE:]
        expected = two_loops(pairs, after)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))
        assert found @ after < 0


def test_without_a_pair_it_is_the_gradient_at_most_1_long():
    pairs, known = memory.empty(SIZE, VARIABLES)
    still = jnp.zeros(VARIABLES)
    for length in (0.1, 30.0):
        gradient = jnp.full(VARIABLES, length / np.sqrt(VARIABLES))
        found, _ = memory.direction(pairs, known, still, still, gradient)
        np.testing.assert_allclose(found, -gradient * min(1, 1 / length), rtol=1e-6)


def test_old_rows_do_not_count_after_a_restart():
    *before, last = list(course(SIZE + 2))
    held = memory.empty(SIZE, VARIABLES)
    for one in before:
        *held, _ = add(*held, *one)
    restarted = memory.restarted_unless(jnp.bool_(False), held[1])
    found = add(held[0], restarted, *last)[2]
    np.testing.assert_allclose(found, add(*memory.empty(SIZE, VARIABLES), *last)[2], rtol=1e-5)


@pytest.mark.parametrize("keep", [True, False])
def test_only_a_pair_that_is_kept_changes_the_rows(keep):
    pairs, known = memory.empty(SIZE, VARIABLES)
    step = jnp.arange(VARIABLES, dtype=jnp.float32)
    after = memory.written(pairs, step, 2 * step, known.held, jnp.bool_(keep))
    np.testing.assert_array_equal(after.changes[0], 2 * step * keep)
    assert not after.steps[1:].any()
