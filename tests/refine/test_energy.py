import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.refine import energy
from ivs_jax.types import Clicks, make_clicks

SHAPE = (11, 14)
# Two clicks share a pixel (after rounding), two squares overlap, one sits in a corner, one outside.
POINTS = [(3.0, 4.0), (3.4, 3.6), (4.0, 5.0), (0.0, 0.0), (13.0, 10.0), (12.0, 10.0), (40.0, 2.0)]
LABELS = [1, 1, 1, 0, 0, 1, 1]


def _logits(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32) * 2


def _sets(radius, points=POINTS):
    """Plain sets of (row, column), positive and negative."""
    sets: dict[int, set[tuple[int, int]]] = {1: set(), 0: set()}
    for (x, y), label in zip(points, LABELS, strict=True):
        column, row = round(x), round(y)
        if not (0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]):
            continue
        for r in range(max(row - radius, 0), min(row + radius, SHAPE[0] - 1) + 1):
            for c in range(max(column - radius, 0), min(column + radius, SHAPE[1] - 1) + 1):
                sets[label].add((r, c))
    return sets[1], sets[0]


def _sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def _plain_brs(logits, delta):
    p, (positive, negative) = _sigmoid(logits), _sets(0)
    errors = sum((1 - p[i]) ** 2 for i in positive) + sum(p[i] ** 2 for i in negative)
    return errors + 1e-3 * np.sum(np.square(delta, dtype=np.float64))


def _plain_fbrs(logits):
    p, (positive, negative) = _sigmoid(logits), _sets(1)
    return sum((1 - p[i]) ** 2 for i in positive) / (len(positive) + 1e-5) + sum(
        p[i] ** 2 for i in negative
    ) / (len(negative) + 1e-5)


def test_brs_energy_is_the_sum_over_the_set_of_clicked_pixels():
    delta = np.random.default_rng(1).normal(size=(*SHAPE, 2)).astype(np.float32)
    found = energy.brs_energy(_logits(), make_clicks(POINTS, LABELS), delta)
    np.testing.assert_allclose(found, _plain_brs(_logits(), delta), rtol=1e-5)


def test_fbrs_energy_is_the_mean_over_unions_of_squares():
    found = energy.fbrs_energy(_logits(), make_clicks(POINTS, LABELS), 0.25)
    np.testing.assert_allclose(found, _plain_fbrs(_logits()) + 0.25, rtol=1e-5)


def test_fbrs_energy_with_clicks_of_one_polarity_only_is_finite():
    found = energy.fbrs_energy(jnp.zeros(SHAPE), make_clicks([(3, 3)], [1]))
    np.testing.assert_allclose(found, 0.25 * 9 / (9 + 1e-5), rtol=1e-5)


def test_copies_count_as_one_larger_set_of_pixels():
    seen = [POINTS, [(x + 2, y) for x, y in POINTS]]  # a square leaves the second one
    logits = np.stack([_logits(0), _logits(1)])
    clicks = Clicks(*map(np.stack, zip(*(make_clicks(p, LABELS) for p in seen), strict=True)))
    expected = 0.25
    for label in (1, 0):
        errors, pixels = 0.0, 1e-5
        for copy, points in enumerate(seen):
            chosen = _sets(1, points)[1 - label]
            errors += sum((label - _sigmoid(logits[copy])[i]) ** 2 for i in chosen)
            pixels += len(chosen)
        expected += errors / pixels
    found = jax.jit(energy.fbrs_energy)(logits, clicks, 0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    alone = [make_clicks(points, LABELS) for points in seen]
    for function, joined in (
        (energy.satisfied, np.stack),
        (lambda z, c: energy.brs_energy(z, c, jnp.zeros(1)), np.sum),
    ):
        compiled = jax.jit(function)
        apart = [compiled(z, c) for z, c in zip(logits, alone, strict=True)]
        np.testing.assert_allclose(compiled(logits, clicks), joined(apart), rtol=1e-6)


def test_scale_bias_penalty():
    found = energy.scale_bias_penalty(jnp.array([1.0, 2.0]), jnp.array([3.0, 0.0]))
    np.testing.assert_allclose(found, 1e-3 * (5 + 90), rtol=1e-6)


@pytest.mark.parametrize("function", [energy.fbrs_energy, lambda z, c: energy.brs_energy(z, c, z)])
def test_energies_do_not_depend_on_click_order_or_padding(function):
    plain = function(_logits(), make_clicks(POINTS, LABELS))
    order = np.random.default_rng(2).permutation(len(POINTS))
    points, labels = np.array(POINTS)[order], np.array(LABELS)[order]
    shuffled = function(_logits(), make_clicks(points, labels, capacity=32))
    np.testing.assert_allclose(plain, shuffled, rtol=1e-6)


@pytest.mark.parametrize("function", [energy.fbrs_energy, lambda z, c: energy.brs_energy(z, c, z)])
def test_gradients(function):
    clicks = make_clicks(POINTS, LABELS)
    check_grads(lambda z: function(z, clicks), (_logits(),), order=1, modes=["rev"], rtol=2e-2)


def test_gradient_reaches_only_clicked_pixels():
    gradient = jax.grad(energy.fbrs_energy)(_logits(), make_clicks(POINTS, LABELS))
    positive, negative = _sets(1)
    touched = {(int(r), int(c)) for r, c in zip(*np.nonzero(np.asarray(gradient)), strict=True)}
    assert touched == positive | negative


@pytest.mark.parametrize(("radius", "threshold"), [(0, 0.5), (1, 0.49)])
def test_satisfied_matches_a_plain_check_per_click(radius, threshold):
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(20):
        points = rng.integers(0, (SHAPE[1], SHAPE[0]), (6, 2))
        labels = rng.integers(0, 2, 6)
        logits = rng.normal(size=SHAPE).astype(np.float32) * 0.5
        logits += rng.choice([-0.5, 0.5])
        p, expected = _sigmoid(logits), []
        for (x, y), label in zip(points, labels, strict=True):
            square = p[
                max(y - radius, 0) : y + radius + 1,
                max(x - radius, 0) : x + radius + 1,
            ]
            expected.append((square > threshold).all() if label else (square < threshold).all())
        found = energy.satisfied(
            logits, make_clicks(points, labels), threshold=threshold, radius=radius
        )
        assert found.tolist() == [*expected, True, True]
        verdicts += expected
    assert 0 < sum(verdicts) < len(verdicts)


def test_clicks_outside_the_grid_and_padding_are_satisfied():
    clicks = make_clicks([(50, 3), (3, 50), (-5, 3)], [1, 1, 1])
    assert energy.satisfied(jnp.full(SHAPE, -9.0), clicks).all()


def test_clicks_on_the_outer_half_pixel_belong_to_the_border():
    clicks = make_clicks([(SHAPE[1] - 0.5, SHAPE[0] - 0.5), (-0.4, -0.5)], [1, 1])
    assert energy.satisfied(jnp.full(SHAPE, -9.0), clicks)[:2].tolist() == [False, False]


def test_mask_unchanged():
    mask = np.full((20, 20), -3.0, np.float32)
    mask[:10] = 3.0  # 200 pixels
    smaller = mask.copy()
    smaller[0, 0] = -3.0
    assert energy.mask_unchanged(mask, smaller)  # IoU 0.995
    smaller[0, :2] = -3.0
    assert not energy.mask_unchanged(mask, smaller)  # IoU exactly 0.99
    empty = np.full_like(mask, -3.0)
    assert not energy.mask_unchanged(empty, empty)
