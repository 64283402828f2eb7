import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from ivs_jax.training.optimiser import FROZEN, Optimiser, freeze

STEPS = 100
GRADIENT, RATE = 0.5, 1e-2


def _params():
    return {
        "encoder": {"kernel": jnp.full((2, 3), 0.5), "bias": jnp.full(3, 0.2)},
        "fixed": {"kernel": jnp.full((2, 2), 0.7)},
        "decoder": {"kernel": jnp.full((3, 1), -0.4)},
    }


def _group(path):
    return FROZEN if path[0] == "fixed" else path[0]


def _moves(optimiser, *gradients):
    """How far each parameter moves in each step, by name."""
    params, group = _params(), _group
    transformation = optimiser.build(group, steps=STEPS)
    state, moves = transformation.init(params), []
    for gradient in gradients:
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        moves.append(traverse_util.flatten_dict(jax.tree.map(np.asarray, updates), sep="/"))
    return moves


def _equal(value=GRADIENT):
    return jax.tree.map(lambda p: jnp.full_like(p, value), _params())


def test_each_group_moves_by_its_rate_and_the_frozen_one_not():
    optimiser = Optimiser(rates={"encoder": 1e-3, "decoder": 1e-2})
    for move in _moves(optimiser, *3 * [_equal()]):
        # Adam moves by its rate while the gradient stays the same.
        np.testing.assert_allclose(move["encoder/kernel"], -1e-3, rtol=1e-3)
        np.testing.assert_allclose(move["encoder/bias"], -1e-3, rtol=1e-3)
        np.testing.assert_allclose(move["decoder/kernel"], -1e-2, rtol=1e-3)
        assert not move["fixed/kernel"].any()


def _plain_adam(gradients, *, b1=0.9, b2=0.999, epsilon=1e-8):
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        yield m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + epsilon)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_weight_decay_of_kernels_is_in_the_gradient_or_beside_it(kind):
    values, decay = (0.5, -0.2, 0.3), 0.1
    rates = {"encoder": RATE, "decoder": RATE}
    optimiser = Optimiser(kind=kind, rates=rates, weight_decay=decay)
    moves = _moves(optimiser, *map(_equal, values))
    # The bias has none.
    found = [float(m["encoder/bias"][0]) for m in moves]
    np.testing.assert_allclose(found, [-RATE * d for d in _plain_adam(values)], rtol=1e-4)
    weight, weights, gradients = 0.5, [], []
    for move, value in zip(moves, values, strict=True):
        weights.append(weight)
        gradients.append(value + decay * weight)
        weight += float(move["encoder/kernel"][0, 0])
    if kind == "adam":
        expected = [-RATE * d for d in _plain_adam(gradients)]
    else:
        pairs = zip(_plain_adam(values), weights, strict=True)
        expected = [-RATE * (d + decay * w) for d, w in pairs]
    np.testing.assert_allclose([m["encoder/kernel"][0, 0] for m in moves], expected, rtol=1e-4)


def test_gradients_are_clipped_to_their_global_norm():
    rates = {"encoder": RATE, "decoder": RATE}
    huge, small = (Optimiser(rates=rates, clip=1.0, epsilon=1.0) for _ in range(2))
    # 16 numbers, the frozen ones among them: of norm 1 each is 1/4.
    (clipped,), (unit,) = _moves(huge, _equal(1e6)), _moves(small, _equal(0.25))
    (free,) = _moves(Optimiser(rates=rates, epsilon=1.0), _equal(1e6))
    for name in ("encoder/kernel", "decoder/kernel"):
        np.testing.assert_allclose(clipped[name], unit[name], rtol=1e-5)
        assert np.abs(free[name]).min() > 2 * np.abs(clipped[name]).max()


def test_gradients_are_clamped_number_by_number():
    gradients = _equal(0.3)
    gradients["encoder"]["kernel"] = gradients["encoder"]["kernel"].at[0, 0].set(-50.0)
    rates = {"encoder": RATE, "decoder": RATE}
    (found,) = _moves(Optimiser(rates=rates, clamp=1.0, epsilon=1.0), gradients)
    gradients["encoder"]["kernel"] = gradients["encoder"]["kernel"].at[0, 0].set(-1.0)
    (expected,) = _moves(Optimiser(rates=rates, epsilon=1.0), gradients)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {0: 1, 99: 1}),
        ({"schedule": "cosine"}, {0: 1, 25: 0.5 + 0.5**1.5, 50: 0.5, 100: 0, 120: 0}),
        ({"schedule": "poly"}, {0: 1, 50: 0.5**0.9, 100: 0}),
        ({"schedule": "poly", "power": 2}, {50: 0.25}),
        ({"schedule": "steps"}, {0: 1, 79: 1, 80: 0.1, 99: 0.1}),
        ({"schedule": "steps", "drops": (0.6, 0.8)}, {59: 1, 60: 0.1, 79: 0.1, 80: 0.01}),
        ({"warmup": 10}, {0: 0.1, 4: 0.5, 9: 1, 50: 1}),
        ({"schedule": "cosine", "warmup": 10}, {4: 0.5 * (0.5 + 0.5 * np.cos(0.04 * np.pi))}),
    ],
)
def test_schedules(options, expected):
    factor = jax.jit(Optimiser(**options).factor(STEPS))
    for step, value in expected.items():
        np.testing.assert_allclose(factor(step), value, rtol=1e-5, atol=1e-6, err_msg=str(step))


def test_updates_follow_the_schedule():
    rates = {"encoder": RATE, "decoder": RATE}
    optimiser = Optimiser(rates=rates, schedule="cosine", warmup=3)
    found = [float(m["decoder/kernel"][0, 0]) for m in _moves(optimiser, *5 * [_equal()])]
    factor = optimiser.factor(STEPS)
    np.testing.assert_allclose(found, [-RATE * float(factor(n)) for n in range(5)], rtol=1e-3)


def test_freeze_cuts_the_gradient_of_the_frozen_alone():
    def f(params):
        return sum(jnp.sum(jnp.square(v)) for v in jax.tree.leaves(freeze(params, _group)))

    params = _params()
    found = jax.grad(f)(params)
    assert not found["fixed"]["kernel"].any()
    for name in ("encoder", "decoder"):
        np.testing.assert_allclose(found[name]["kernel"], 2 * params[name]["kernel"])


def test_a_group_without_rate_is_named():
    transformation = Optimiser(rates={"decoder": 1e-3}).build(_group, steps=STEPS)
    message = "no rate for group 'encoder' of encoder/kernel, found decoder"
    with pytest.raises(ValueError, match=message):
        transformation.init(_params())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "sgd"}, "optimiser kind 'sgd': expected adam or adamw"),
        ({"schedule": "linear"}, "optimiser schedule 'linear': expected constant, cosine"),
        ({"drops": (1.2,)}, "optimiser drops .* expected shares between 0 and 1"),
        ({"warmup": -1}, "optimiser warmup -1: expected 0 or more steps"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Optimiser(**options)


def test_a_run_has_steps():
    with pytest.raises(ValueError, match="steps of the run: expected 1 or more, found 0"):
        Optimiser().build(_group, steps=0)
