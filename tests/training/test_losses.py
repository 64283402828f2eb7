"""Every loss against plain loops, sample by sample."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.training.losses import (
    binary_cross_entropy,
    bootstrapped_cross_entropy,
    label_cross_entropy,
    normalised_focal,
    scales_cross_entropy,
    scribble_mask,
    soft_iou,
)


def _truth(seed=0):
    return np.random.default_rng(seed).choice([-1, 0, 1], (3, 4, 5), p=[0.2, 0.4, 0.4])


def _logits(seed=1):
    return np.random.default_rng(seed).normal(size=(3, 4, 5)).astype(np.float32) * 2


def _labels():
    return np.random.default_rng(2).choice([0, 1, 2, 255], (3, 4, 5)).astype(np.uint8)


def _class_logits():
    return np.random.default_rng(3).normal(size=(3, 4, 5, 3)).astype(np.float32) * 2


def _counted(values, truth):
    """Pairs of value and label of the pixels that count, a list for each sample."""
    for x, t in zip(values, truth, strict=True):
        pairs = zip(x.ravel(), t.ravel(), strict=True)
        yield [(float(value), label) for value, label in pairs if label != -1]


def _surprise(value, label):
    """-log of the probability of what is true."""
    return math.log1p(math.exp(-value if label == 1 else value))


def _plain_binary(logits, truth):
    return [np.mean([_surprise(*p) for p in pairs]) for pairs in _counted(logits, truth)]


def _plain_focal(logits, truth):
    losses = []
    for pairs in _counted(logits, truth):
        terms = [_surprise(*pair) for pair in pairs]
        weights = [(1 - math.exp(-term)) ** 2 for term in terms]
        mean = sum(weights) / len(weights)  # rescaled to a mean weight of 1
        losses.append(sum(w / mean * x for w, x in zip(weights, terms, strict=True)) / len(terms))
    return losses


def _plain_iou(logits, truth):
    losses = []
    for pairs in _counted(1 / (1 + np.exp(-logits)), truth):
        both = sum(p for p, label in pairs if label == 1)
        either = sum(max(p, label) for p, label in pairs)
        losses.append(1 - (both + 1) / (either + 1))
    return losses


def _plain_surprises(logits, labels):
    """Of the pixels that count, a list for each sample."""
    for sample, label in zip(logits, labels, strict=True):
        rows = zip(sample.reshape(-1, sample.shape[-1]), label.ravel(), strict=True)
        yield [
            math.log(sum(math.exp(v) for v in row)) - float(row[i]) for row, i in rows if i != 255
        ]


def _plain_labels(logits, labels):
    return [np.mean(terms) for terms in _plain_surprises(logits, labels)]


def _plain_bootstrapped(logits, labels):
    losses = []
    for terms in _plain_surprises(logits, labels):
        keep = math.ceil(0.3 * len(terms))
        losses.append(np.mean(sorted(terms)[-keep:]))
    return losses


def _iou_of_logits(logits, truth):
    return soft_iou(jax.nn.sigmoid(logits), truth)


def _hardest(logits, labels):
    return bootstrapped_cross_entropy(logits, labels, 0.3)


BINARY = {
    "binary": (binary_cross_entropy, _plain_binary),
    "focal": (normalised_focal, _plain_focal),
    "iou": (_iou_of_logits, _plain_iou),
}
LABELS = {
    "labels": (label_cross_entropy, _plain_labels),
    "bootstrapped": (_hardest, _plain_bootstrapped),
}
LOSSES = BINARY | LABELS


def _inputs(name):
    """Logits, truth and where that is void."""
    if name in BINARY:
        return _logits(), _truth(), _truth() == -1
    return _class_logits(), _labels(), (_labels() == 255)[..., None]


@pytest.mark.parametrize("name", LOSSES)
def test_each_sample_has_the_loss_of_plain_loops(name):
    (loss, plain), (logits, truth, _) = LOSSES[name], _inputs(name)
    found = jax.jit(loss)(logits, truth)
    assert (found.shape, found.dtype) == ((3,), jnp.float32)
    np.testing.assert_allclose(found, plain(logits, truth), rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_samples_do_not_know_each_other(name):
    (loss, _), (logits, truth, _) = LOSSES[name], _inputs(name)
    alone = [jax.jit(loss)(logits[n : n + 1], truth[n : n + 1])[0] for n in range(3)]
    np.testing.assert_allclose(jax.jit(loss)(logits, truth), alone, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_bfloat16_are_computed_with_in_float32(name):
    (loss, plain), (logits, truth, _) = LOSSES[name], _inputs(name)
    rounded = jnp.asarray(logits, jnp.bfloat16)
    found = jax.jit(loss)(rounded, truth)
    assert found.dtype == jnp.float32
    if name != "iou":  # its caller makes the probability, here in bfloat16
        expected = plain(np.asarray(rounded, np.float32), truth)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["binary", "iou", "labels", "bootstrapped"])
def test_gradients_agree_with_finite_differences(name):
    (loss, _), (logits, truth, _) = LOSSES[name], _inputs(name)

    @jax.jit
    def total(x):
        return jnp.sum(loss(x, truth))

    check_grads(total, (logits,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", LOSSES)
def test_void_pixels_change_neither_loss_nor_gradient(name):
    (loss, _), (x, truth, void) = LOSSES[name], _inputs(name)
    gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(loss(x, truth))))
    other = np.where(void, 7.0, x).astype(np.float32)
    first, second = gradient(x), gradient(other)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (np.asarray(first[1])[np.broadcast_to(void, x.shape)] == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_samples_of_void_alone_have_no_loss(name):
    (loss, _), (x, truth, _) = LOSSES[name], _inputs(name)
    nothing = np.full_like(truth, -1 if name in BINARY else 255)
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(loss(x, nothing)))(jnp.asarray(x))
    assert float(value) == 0 and not gradient.any()


@pytest.mark.parametrize("name", ["binary", "focal"])
def test_extreme_logits_are_finite_with_their_gradient(name):
    logits = jnp.array([[[-200.0, 200.0, -200.0, 200.0]]])
    truth = jnp.array([[[1, 0, 0, 1]]])
    loss = BINARY[name][0]
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(loss(x, truth)))(logits)
    assert np.isfinite(value) and np.isfinite(gradient).all() and np.abs(gradient).max() > 0.1


def test_focal_of_equally_hard_pixels_is_cross_entropy():
    # All weights equal, so rescaled to mean 1 they are 1, however easy the pixels are.
    for value in (-2.0, 0.0, 3.0):
        found = normalised_focal(jnp.full((2, 4, 4), value), jnp.ones((2, 4, 4)))
        np.testing.assert_allclose(found, math.log1p(math.exp(-value)), rtol=1e-3)


def test_focal_weights_are_a_constant_factor_for_the_gradient():
    logits, truth = jnp.asarray(_logits()), _truth()

    def unscaled(x):  # per image, with the factor taken out
        sign = jnp.where(truth == 1, 1, -1)
        log_p = jax.nn.log_sigmoid(sign * x)
        focal = jnp.where(truth >= 0, (1 - jnp.exp(log_p)) ** 2, 0)
        return -jnp.sum(focal * log_p, (1, 2)), jnp.sum(focal, (1, 2))

    total = np.asarray(unscaled(logits)[1])
    expected = jax.grad(lambda x: jnp.mean(unscaled(x)[0] / total))(logits)
    found = jax.grad(lambda x: jnp.mean(normalised_focal(x, truth)))(logits)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_iou_of_the_truth_is_no_loss():
    perfect = (_truth() == 1).astype(np.float32)
    np.testing.assert_array_equal(soft_iou(perfect, _truth()), np.zeros(3))


def test_the_share_of_hard_pixels_may_change_without_compiling(compilations):
    logits, labels = _class_logits(), _labels()
    loss = jax.jit(bootstrapped_cross_entropy)
    whole = loss(logits, labels, 1.0)
    np.testing.assert_allclose(whole, label_cross_entropy(logits, labels), rtol=1e-5)
    with compilations() as compiled:
        one = loss(logits, labels, 1e-6)
    assert compiled.count == 0
    worst = [max(terms) for terms in _plain_surprises(logits, labels)]
    np.testing.assert_allclose(one, worst, rtol=1e-5)


SCALES = (16, 8, 2)


def _scales():
    rng = np.random.default_rng(4)
    logits = [rng.normal(size=(3, side, side, 2)).astype(np.float32) * 2 for side in SCALES]
    return logits, rng.random((3, 16, 16), np.float32)


def _plain_scales(logits, truth, weights):
    """By hand: with `align_corners` pixel i of s lies at i (S - 1) / (s - 1)."""
    losses = []
    for sample in range(len(truth)):
        total = 0.0
        for scores, weight in zip(logits, weights, strict=True):
            side, terms = scores.shape[1], []
            at = [i * (truth.shape[1] - 1) / (side - 1) for i in range(side)]
            for i, y in enumerate(at):
                for j, x in enumerate(at):
                    a, b = min(int(y), 14), min(int(x), 14)
                    v, u = y - a, x - b
                    corners = truth[sample, a : a + 2, b : b + 2]
                    value = np.array([1 - v, v]) @ corners @ np.array([1 - u, u])
                    row = [float(s) for s in scores[sample, i, j]]
                    chosen = row[int(round(float(value)))]
                    terms.append(math.log(sum(math.exp(s) for s in row)) - chosen)
            total += weight * sum(terms) / len(terms)
        losses.append(total)
    return losses


def test_cross_entropy_at_all_scales_equals_plain_loops():
    (logits, truth), weights = _scales(), (1.0, 0.5, 2.0)
    loss = jax.jit(scales_cross_entropy, static_argnames="weights")
    found = loss(logits, truth, weights=weights)
    np.testing.assert_allclose(found, _plain_scales(logits, truth, weights), rtol=1e-5)
    # The official demo looks at the first scale alone.
    first = loss(logits, truth, weights=(1, 0, 0))
    np.testing.assert_allclose(first, _plain_scales(logits, truth, (1, 0, 0)), rtol=1e-5)


def test_truth_gets_no_gradient_and_logits_that_of_finite_differences():
    logits, truth = _scales()

    @jax.jit
    def f(logits, truth):
        return jnp.sum(scales_cross_entropy(logits, truth, weights=(1, 1, 1)))

    check_grads(lambda x: f(x, truth), (logits,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)
    assert not jax.grad(f, argnums=1)(logits, jnp.asarray(truth)).any()


def test_one_weight_a_scale():
    logits, truth = _scales()
    with pytest.raises(ValueError, match="weights must be one per scale, 3, found 2"):
        scales_cross_entropy(logits, truth, weights=(1, 1))


def test_samples_without_scribbles_have_no_weight():
    maps = np.zeros((2, 4, 3, 5), np.float32)
    maps[0, 0, 1, 1] = maps[1, 0, 2, 2] = maps[1, 3, 0, 0] = 1
    np.testing.assert_array_equal(scribble_mask(*jnp.asarray(maps)), [1, 0, 0, 1])
