import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.ops.aggregate import EPSILON, aggregate, aggregate_logits


def _aggregated(probabilities):
    return np.asarray(jax.nn.softmax(aggregate(jnp.asarray(probabilities)), -1))


def _probabilities(objects):
    p = np.random.default_rng(objects).uniform(0.01, 0.99, (4, 5, objects))
    p[0, 0], p[0, 1], p[0, 2, 0] = 0, 1, 1
    return p.astype(np.float32)


def _plain(pixel):
    """Odds over the sum of all odds; the background is the product of the complements."""
    background = math.prod(1 - float(p) for p in pixel)
    clipped = [min(max(float(p), EPSILON), 1 - EPSILON) for p in (background, *pixel)]
    odds = [p / (1 - p) for p in clipped]
    return [o / sum(odds) for o in odds]


@pytest.mark.parametrize("objects", [1, 2, 5])
def test_distribution_is_odds_over_the_sum_of_odds(objects):
    p = _probabilities(objects)
    found = _aggregated(p)
    expected = [[_plain(pixel) for pixel in row] for row in p]
    assert found.shape == (4, 5, objects + 1)
    # Near 1 float32 knows 1 - p to 6e-8 only, hence the looser bound where p is clipped.
    np.testing.assert_allclose(found[1:], np.array(expected)[1:], atol=2e-6)
    np.testing.assert_allclose(found[0], np.array(expected)[0], atol=0.1)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_objects_may_come_in_any_order():
    p, order = _probabilities(4), np.array([2, 0, 3, 1])
    found = _aggregated(p[..., order])
    expected = _aggregated(p)[..., np.r_[0, 1 + order]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_empty_slots_hardly_change_the_others():
    p = np.clip(_probabilities(2), 0.01, 0.99)
    slots = np.concatenate([p, np.zeros((4, 5, 2), np.float32)], -1)
    found, expected = (_aggregated(x) for x in (slots, p))
    np.testing.assert_allclose(found[..., :3], expected, atol=1e-4)
    assert (found[..., 3:] > 0).all() and (found[..., 3:] < 1e-4).all()


def test_logits_stay_finite_where_objects_are_certain():
    logits = np.asarray(aggregate(jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])))
    assert np.isfinite(logits).all()
    assert logits[:2].argmax(-1).tolist() == [0, 1]
    np.testing.assert_allclose(logits[2, 1], logits[2, 2])


def _logits(objects):
    return np.random.default_rng(objects).normal(size=(4, 5, objects)).astype(np.float32) * 3


@pytest.mark.parametrize("objects", [1, 3])
def test_from_logits_is_the_same_distribution(objects):
    x = _logits(objects)
    found = np.asarray(jax.nn.softmax(aggregate_logits(jnp.asarray(x)), -1))
    expected = [[_plain(1 / (1 + np.exp(-pixel.astype(np.float64)))) for pixel in row] for row in x]
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("value", [-200.0, -20.0, 0.0, 20.0, 200.0])
def test_saturated_logits_stay_finite_and_keep_their_gradient(value):
    def wrong(x):  # cross-entropy of the answer that `x` is surest against
        return -jax.nn.log_softmax(aggregate_logits(x))[0 if value > 0 else 1]

    loss, gradient = jax.value_and_grad(wrong)(jnp.array([value, -3.0]))
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    assert abs(float(gradient[0])) > 0.3
