import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.training.losses import (
    label_cross_entropy,
    normalised_focal,
    scales_cross_entropy,
    scribble_weights,
    soft_iou,
)


def _truth(seed=0):
    return np.random.default_rng(seed).choice([-1, 0, 1], (3, 4, 5), p=[0.2, 0.4, 0.4])


def _logits(seed=1):
    return np.random.default_rng(seed).normal(size=(3, 4, 5)).astype(np.float32) * 2


def _plain_focal(logits, truth):
    losses = []
    for x, t in zip(logits.reshape(3, -1), truth.reshape(3, -1), strict=True):
        weights, terms = [], []
        for value, label in zip(x, t, strict=True):
            if label == -1:
                continue
            p = 1 / (1 + math.exp(-float(value)))
            right = p if label == 1 else 1 - p
            weights.append((1 - right) ** 2)
            terms.append(-math.log(right))
        mean = sum(weights) / len(weights)  # rescaled to a mean weight of 1
        losses.append(sum(w / mean * x for w, x in zip(weights, terms, strict=True)) / len(terms))
    return sum(losses) / len(losses)


def _plain_iou(probability, truth):
    losses = []
    for p, t in zip(probability, truth, strict=True):
        both = sum(float(a) for a, b in zip(p.flat, t.flat, strict=True) if b == 1)
        either = sum(
            max(float(a), float(b)) for a, b in zip(p.flat, t.flat, strict=True) if b != -1
        )
        losses.append(1 - (both + 1) / (either + 1))
    return sum(losses) / len(losses)


def _plain_cross_entropy(logits, labels):
    terms = []
    for row, label in zip(logits.reshape(-1, logits.shape[-1]), labels.ravel(), strict=True):
        if label != 255:
            terms.append(math.log(sum(math.exp(v) for v in row)) - float(row[label]))
    return sum(terms) / len(terms)


def test_normalised_focal_equals_plain_loops():
    found = normalised_focal(jnp.asarray(_logits()), _truth())
    np.testing.assert_allclose(found, _plain_focal(_logits(), _truth()), rtol=1e-4)


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
    found = jax.grad(normalised_focal)(logits, truth)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_soft_iou_equals_plain_loops():
    p = 1 / (1 + np.exp(-_logits()))
    np.testing.assert_allclose(soft_iou(p, _truth()), _plain_iou(p, _truth()), rtol=1e-5)
    perfect = (_truth() == 1).astype(np.float32)
    assert float(soft_iou(perfect, _truth())) == 0


def test_soft_iou_gradient_agrees_with_finite_differences():
    p = (1 / (1 + np.exp(-_logits()))).astype(np.float32)
    check_grads(lambda p: soft_iou(p, _truth()), (p,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def _labels():
    return np.random.default_rng(2).choice([0, 1, 2, 255], (3, 4, 5)).astype(np.uint8)


def _class_logits():
    return np.random.default_rng(3).normal(size=(3, 4, 5, 3)).astype(np.float32) * 2


def test_cross_entropy_equals_plain_loops():
    found = label_cross_entropy(jnp.asarray(_class_logits()), jnp.asarray(_labels()))
    np.testing.assert_allclose(found, _plain_cross_entropy(_class_logits(), _labels()), rtol=1e-5)


def test_cross_entropy_gradient_agrees_with_finite_differences():
    def f(x):
        return label_cross_entropy(x, jnp.asarray(_labels()))

    check_grads(f, (_class_logits(),), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("loss", ["focal", "iou", "entropy"])
def test_void_pixels_change_neither_loss_nor_gradient(loss):
    if loss == "entropy":
        x, void = _class_logits(), (_labels() == 255)[..., None]

        def f(x):
            return label_cross_entropy(x, jnp.asarray(_labels()))
    else:
        x, void = _logits(), _truth() == -1

        def f(x):
            truth = jnp.asarray(_truth())
            return normalised_focal(x, truth) if loss == "focal" else soft_iou(x, truth)

    other = np.where(void, 7.0, x).astype(np.float32)
    first, second = (jax.value_and_grad(f)(jnp.asarray(a)) for a in (x, other))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (np.asarray(first[1])[np.broadcast_to(void, x.shape)] == 0).all()


def test_images_of_void_alone_are_finite():
    nothing = jnp.full((3, 4, 5), -1)
    assert float(normalised_focal(jnp.asarray(_logits()), nothing)) == 0
    assert float(soft_iou(jnp.asarray(_logits()), nothing)) == 0
    labels = np.full((3, 4, 5), 255, np.uint8)
    assert float(label_cross_entropy(jnp.asarray(_class_logits()), jnp.asarray(labels))) == 0


def test_extreme_logits_are_finite_with_their_gradient():
    logits = jnp.array([[[-200.0, 200.0, -200.0, 200.0]]])
    truth = jnp.array([[[1, 0, 0, 1]]])
    value, gradient = jax.value_and_grad(normalised_focal)(logits, truth)
    assert np.isfinite(value) and np.isfinite(gradient).all() and np.abs(gradient).max() > 0.1


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


def test_samples_without_scribbles_have_no_weight():
    positive, negative = np.zeros((2, 4, 3, 5), np.float32)
    positive[0, 1, 1] = negative[0, 2, 2] = negative[3, 0, 0] = 1
    found = scribble_weights(jnp.asarray(positive), jnp.asarray(negative))
    np.testing.assert_allclose(found, np.array([1, 0, 0, 1]) / 0.501, rtol=1e-6)
    assert not scribble_weights(jnp.zeros((2, 3, 5)), jnp.zeros((2, 3, 5))).any()


def test_one_weight_a_scale():
    logits, truth = _scales()
    with pytest.raises(ValueError, match="weights must be one per scale, 3, found 2"):
        scales_cross_entropy(logits, truth, weights=(1, 1))
