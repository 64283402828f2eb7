"""The solver against SciPy's L-BFGS-B, and its promises: counts, budget, NaN, vmap, compilation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import fmin_l_bfgs_b

from ivs_jax.refine import lbfgs
from ivs_jax.refine.lbfgs import minimise


def _rosenbrock(rng, n):
    def energy(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return energy, rng.normal(size=n)


def _quadratic(rng, n, condition):
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    root = (np.logspace(0, np.log10(condition) / 2, n)[:, None] * basis).astype(np.float32)
    target = rng.normal(size=n).astype(np.float32)

    def energy(x):
        return 0.5 * jnp.sum((root @ x) ** 2) - target @ x

    return energy, rng.normal(size=n)


def _clicks_on_a_network(rng, size, gain):
    """BRS on a random network of three convolutions with eight clicked pixels."""
    kernels = [
        (gain * rng.normal(size=(3, 3, a, b)) / np.sqrt(9 * a)).astype(np.float32)
        for a, b in ((2, 8), (8, 8), (8, 1))
    ]
    maps = rng.normal(size=(1, size, size, 2)).astype(np.float32)
    pixels = rng.choice(size * size, 8, replace=False)
    target = rng.integers(0, 2, 8).astype(np.float32)

    def energy(x):
        hidden = maps + x.reshape(maps.shape)
        for i, kernel in enumerate(kernels):
            hidden = jax.nn.softplus(hidden) if i else hidden
            dimensions = ("NHWC", "HWIO", "NHWC")
            hidden = jax.lax.conv_general_dilated(
                hidden, kernel, (1, 1), "SAME", dimension_numbers=dimensions
            )
        p = jax.nn.sigmoid(hidden.reshape(-1)[pixels])
        return jnp.sum((p - target) ** 2) + 1e-3 * jnp.sum(x**2)

    return energy, np.zeros(maps.size)


def _scales_on_features(rng, channels):
    """f-BRS on a random two-layer head."""
    features = rng.normal(size=(60, channels)).astype(np.float32)
    mix = (rng.normal(size=(channels, channels)) / np.sqrt(channels)).astype(np.float32)
    last = (3 * rng.normal(size=channels) / np.sqrt(channels)).astype(np.float32)
    target = rng.integers(0, 2, 60).astype(np.float32)

    def energy(x):
        scale, bias = x[None, :channels], x[None, channels:]
        p = jax.nn.sigmoid(jnp.tanh((features * (1 + scale) + bias) @ mix) @ last)
        penalty = 1e-3 * (jnp.sum(scale**2) + 10 * jnp.sum(bias**2))
        return jnp.mean((p - target) ** 2) + penalty

    return energy, np.zeros(2 * channels)


def _wavy(rng, n):
    """Many minima, and negative curvature almost everywhere."""
    mix = (rng.normal(size=(n, n)) / np.sqrt(n)).astype(np.float32)
    return lambda x: 0.05 * jnp.sum(x**2) + jnp.sum(jnp.cos(3 * mix @ x)), 2 * rng.normal(size=n)


PROBLEMS = {
    "rosenbrock-2": (functools.partial(_rosenbrock, n=2), 40),
    "rosenbrock-20": (functools.partial(_rosenbrock, n=20), 20),
    "quadratic": (functools.partial(_quadratic, n=50, condition=10), 20),
    "quadratic-ill": (functools.partial(_quadratic, n=50, condition=1e3), 40),
    "quadratic-worse": (functools.partial(_quadratic, n=50, condition=1e5), 20),
    "network": (functools.partial(_clicks_on_a_network, size=12, gain=1.5), 20),
    "network-steep": (functools.partial(_clicks_on_a_network, size=16, gain=2.5), 20),
    "features": (functools.partial(_scales_on_features, channels=32), 20),
    "features-wide": (functools.partial(_scales_on_features, channels=128), 40),
    "wavy": (functools.partial(_wavy, n=20), 40),
}


def _scipy(energy, start, budget):
    """Lowest energy among SciPy's first `budget` evaluations, and how many it used of them."""
    value_and_grad = jax.jit(jax.value_and_grad(energy))
    seen = []

    def function(x):
        value, gradient = value_and_grad(x.astype(np.float32))
        seen.append(float(value))
        return float(value), np.asarray(gradient, np.float64)

    fmin_l_bfgs_b(function, start, m=20, factr=0, pgtol=1e-8, maxfun=budget, maxiter=2 * budget)
    return min(seen[:budget]), min(len(seen), budget)


def _solve(energy, start, budget, **options):
    objective = lambda x: (energy(x), x)  # noqa: E731
    return jax.jit(
        lambda x: minimise(objective, x, max_evaluations=budget, memory_size=20, **options)
    )(np.asarray(start, np.float32))


@pytest.mark.parametrize("name", PROBLEMS)
def test_reaches_scipy_energy_with_the_same_evaluations(name):
    make, budget = PROBLEMS[name]
    energy, start = make(np.random.default_rng(0))
    reference, evaluations = _scipy(energy, start, budget)
    solution = _solve(energy, start, budget)
    assert solution.energy <= reference + 0.02 * abs(reference) + 1e-6
    assert solution.evaluations <= evaluations + 2
    assert solution.energy < energy(jnp.asarray(start, jnp.float32))


def test_energy_and_aux_belong_to_x():
    energy, start = _wavy(np.random.default_rng(4), 20)
    solution = _solve(energy, start, 15)
    np.testing.assert_array_equal(solution.aux, solution.x)
    np.testing.assert_allclose(solution.energy, energy(solution.x), rtol=1e-5)


@pytest.mark.parametrize("budget", [1, 2, 7, 20])
def test_counts_every_evaluation_and_keeps_the_budget(budget):
    energy, start = _rosenbrock(np.random.default_rng(5), 10)
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return energy(x)

    solution = jax.block_until_ready(_solve(counted, start, budget))
    jax.effects_barrier()
    assert solution.evaluations == budget == len(calls)
    assert solution.status == lbfgs.BUDGET


@pytest.mark.slow
def test_the_point_of_lowest_energy_is_returned():
    energy, start = _rosenbrock(np.random.default_rng(5), 10)
    solutions = [_solve(energy, start, budget).energy for budget in (1, 2, 3, 4, 6, 9)]
    assert np.all(np.diff(solutions) <= 0)


def test_a_step_that_overshoots_is_not_returned():
    """The first trial has length 1 and lands far up the other side."""
    solution = _solve(lambda x: 100 * jnp.sum(x**2), np.array([0.1]), 2)
    assert solution.evaluations == 2
    np.testing.assert_array_equal(solution.x, np.array([0.1], np.float32))
    np.testing.assert_allclose(solution.energy, 1, rtol=1e-6)


def test_iteration_budget():
    energy, start = _rosenbrock(np.random.default_rng(5), 10)
    few = _solve(energy, start, 100, max_iterations=3)
    assert few.status == lbfgs.BUDGET
    assert 4 <= few.evaluations < 12


def test_start_that_satisfies_costs_one_evaluation():
    always = lambda aux, previous: (jnp.bool_(True), jnp.bool_(True))  # noqa: E731
    start = np.arange(3, dtype=np.float32)
    solution = _solve(lambda x: jnp.sum(x**2), start, 20, stop=always)
    assert solution.evaluations == 1
    assert solution.status == lbfgs.SATISFIED
    assert solution.satisfied
    np.testing.assert_array_equal(solution.x, start)


def test_satisfied_evaluation_is_returned_even_if_an_earlier_one_was_lower():
    # The goal is a region that the search crosses while its energy is above the start's.
    stop = lambda aux, previous: (aux[0] > 0.9, jnp.bool_(False))  # noqa: E731
    energy = lambda x: jnp.sum((10 * x - 1) ** 2)  # noqa: E731
    solution = _solve(energy, np.zeros(1), 20, stop=stop)
    assert solution.satisfied and solution.x[0] > 0.9
    assert solution.energy > 1


@pytest.mark.parametrize(("keep", "kept"), [("satisfied", -1), ("last", -1), ("lowest", 0)])
def test_whose_aux_is_returned(keep, kept):
    """The goal lies where the energy is higher than at the start; `x` is there whatever is kept."""
    stop = lambda aux, previous: (aux[0] > 0.9, jnp.bool_(False))  # noqa: E731
    energy = lambda x: jnp.sum((10 * x - 1) ** 2)  # noqa: E731
    solution = _solve(energy, np.zeros(1), 20, stop=stop, keep=keep)
    assert solution.satisfied and solution.x[0] > 0.9
    expected = (np.zeros(1, np.float32), solution.x)[kept]
    np.testing.assert_array_equal(solution.aux, expected)
    np.testing.assert_allclose(solution.energy, energy(expected), rtol=1e-5)


def test_without_the_goal_the_last_may_be_higher_than_the_lowest():
    energy = lambda x: 100 * jnp.sum(x**2)  # noqa: E731
    last, lowest = (_solve(energy, np.array([0.1]), 2, keep=keep) for keep in ("last", "lowest"))
    assert last.energy > lowest.energy == energy(lowest.x)
    np.testing.assert_array_equal(last.x, lowest.x)


def test_unchanged_compares_with_the_evaluation_before():
    pairs = []

    def stop(aux, previous):
        jax.debug.callback(lambda *pair: pairs.append(np.array(pair)), aux[0], previous[0])
        return jnp.bool_(False), jnp.abs(aux[0] - previous[0]) < 1e-2

    energy, start = _rosenbrock(np.random.default_rng(6), 2)
    solution = jax.block_until_ready(_solve(energy, start, 50, stop=stop))
    jax.effects_barrier()
    assert solution.status == lbfgs.UNCHANGED
    assert not solution.satisfied
    _, *seen = pairs  # the look without a gradient comes first and is not counted
    assert len(seen) == solution.evaluations
    np.testing.assert_array_equal([p[1] for p in seen[1:]], [p[0] for p in seen[:-1]])


@pytest.mark.parametrize("satisfied", [True, False])
def test_a_start_that_satisfies_costs_no_gradient(satisfied):
    gradients: list[np.ndarray] = []

    @jax.custom_vjp
    def energy(x):
        return jnp.sum(x**2)

    def backward(x, g):
        jax.debug.callback(gradients.append, x)
        return (2 * x * g,)

    energy.defvjp(lambda x: (energy(x), x), backward)
    stop = lambda aux, _: (jnp.bool_(satisfied), jnp.bool_(False))  # noqa: E731
    solution = jax.block_until_ready(_solve(energy, np.array([1.0, 2.0]), 1, stop=stop))
    jax.effects_barrier()
    assert len(gradients) == (0 if satisfied else 1)
    assert solution.evaluations == 1
    assert bool(solution.satisfied) == satisfied
    assert solution.energy == 5
    np.testing.assert_array_equal(solution.x, [1, 2])


def test_nan_region_shrinks_the_step():
    # The first trial steps have length 1 and more: outside the disc where the energy exists.
    energy = lambda x: jnp.sum((x - 0.9) ** 2) + 0 * jnp.sum(jnp.sqrt(1 - x**2))  # noqa: E731
    solution = _solve(energy, np.array([0.5, -0.5]), 60)
    assert np.isnan(energy(jnp.array([0.5, 1.5])))
    assert np.isfinite(solution.energy) and solution.energy < 1e-3


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("what", ["energy", "gradient"])
def test_nan_beyond_a_radius_is_never_returned(what, trials):
    """The minimum lies outside the disc: the solver ends at its edge, with finite numbers."""

    @jax.custom_vjp
    def guard(x):
        return x if what == "gradient" else jnp.where(x @ x < 1, x, jnp.nan)

    guard.defvjp(lambda x: (guard(x), x), lambda x, g: (jnp.where(x @ x < 1, g, jnp.nan),))
    energy = lambda x: jnp.sum((guard(x) - 2) ** 2)  # noqa: E731
    solution = _solve(energy, np.array([0.1, -0.2]), 60, trials=trials)
    assert solution.x @ solution.x < 1 and np.isfinite(solution.aux).all()
    assert solution.energy < energy(np.array([0.5, 0.5], np.float32))
    assert solution.status != lbfgs.FAILED


def test_wall_of_infinity_next_to_the_minimum():
    energy = lambda x: jnp.where(x[0] > 1, jnp.inf, (x[0] - 3) ** 2)  # noqa: E731
    solution = _solve(energy, np.array([-4.0]), 60)
    assert 0.8 < solution.x[0] <= 1


@pytest.mark.parametrize("energy", [lambda x: jnp.sum(x) * jnp.nan, lambda x: jnp.sum(x) + jnp.inf])
def test_start_that_is_not_finite_fails(energy):
    start = np.ones(3, np.float32)
    solution = _solve(energy, start, 20)
    assert solution.status == lbfgs.FAILED
    assert solution.evaluations == 1
    assert not solution.satisfied and np.isnan(solution.energy)
    np.testing.assert_array_equal(solution.x, start)


def test_minimum_at_the_start_converges_at_once():
    solution = _solve(lambda x: jnp.sum(x**2), np.zeros(3), 20)
    assert solution.status == lbfgs.CONVERGED
    assert solution.evaluations == 1


def test_convergence_in_float32_does_not_spend_the_budget():
    """Rounding of the large energy hides the last decreases; no gradient is ever exactly 0."""
    energy, start = _quadratic(np.random.default_rng(8), 50, 100)
    solution = _solve(lambda x: energy(x) + 1e4, start, 500, gradient_tolerance=0.0)
    assert solution.status == lbfgs.CONVERGED
    assert solution.evaluations < 60


def test_negative_curvature_pairs_do_not_turn_it_uphill():
    # Concave along the first variable until far out: every early pair has y.s <= 0.
    energy = lambda x: -jnp.sqrt(1 + x[0] ** 2) + 1e-3 * x[0] ** 2 + (x[1] - 1) ** 2  # noqa: E731
    solution = _solve(energy, np.array([0.1, -2.0]), 60)
    np.testing.assert_allclose(solution.energy, -250.001, rtol=1e-4)


def test_x_may_be_a_tree():
    def objective(x):
        return jnp.sum((x["scale"] - 2) ** 2) + jnp.sum((x["bias"] + 1) ** 2), ()

    start = {"scale": np.zeros((2, 3), np.float32), "bias": np.zeros(4, np.float32)}
    solution = minimise(objective, start, max_evaluations=20)
    np.testing.assert_allclose(solution.x["scale"], np.full((2, 3), 2), atol=1e-5)
    np.testing.assert_allclose(solution.x["bias"], np.full(4, -1), atol=1e-5)


def test_new_data_do_not_compile_again():
    @jax.jit
    def solve(x, target):
        return minimise(lambda x: (jnp.sum((x - target) ** 2), ()), x, max_evaluations=20)

    for seed in range(3):
        target = np.random.default_rng(seed).normal(size=5).astype(np.float32)
        np.testing.assert_allclose(solve(np.zeros(5, np.float32), target).x, target, atol=1e-4)
    assert solve._cache_size() == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", ["max_evaluations", "max_iterations", "memory_size"])
def test_wrong_sizes_are_named(option):
    options = {"max_evaluations": 5} | {option: 0}
    with pytest.raises(ValueError, match=f"{option} must be at least 1, found 0"):
        minimise(lambda x: (jnp.sum(x), ()), jnp.ones(2), **options)
