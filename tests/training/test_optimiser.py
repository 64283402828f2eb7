import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from ivs_jax.models import MODELS, initial_variables
from ivs_jax.training.optimiser import ENCODERS, freeze, group_of, make_optimiser
from ivs_jax.training.state import apply_gradients, create_state

TRAINED = [name for name, model in MODELS.items() if model.published is None]


@functools.cache
def _shapes(name):
    make = functools.partial(initial_variables, MODELS[name])
    params = jax.eval_shape(make, jax.random.key(0))["params"]
    return traverse_util.flatten_dict(params)


@pytest.mark.parametrize("name", TRAINED)
def test_groups_cover_every_parameter(name):
    groups = {path: group_of(path) for path in _shapes(name)}
    assert set(groups.values()) == {"frozen", "encoder", "decoder"}
    for path, group in groups.items():
        assert (group == "decoder") == (path[0] not in ENCODERS or path[1] == "stem_extra"), path


@pytest.mark.parametrize("name", TRAINED)
def test_norms_and_depthwise_kernels_of_encoders_are_frozen(name):
    shapes = _shapes(name)
    encoder = [p for p in shapes if p[0] in ENCODERS and p[1] != "stem_extra"]
    frozen = {p for p in encoder if group_of(p) == "frozen"}
    # Of a MobileNet's blocks only the stem and the pointwise kernels are trained.
    assert {p[-2:] for p in encoder if p not in frozen} == {
        ("stem", "kernel"),
        ("pointwise", "kernel"),
    }
    count = sum(np.prod(shapes[p].shape) for p in frozen)
    assert 0 < count < 0.03 * sum(np.prod(shapes[p].shape) for p in encoder)


def _params():
    return {
        "encoder": {
            "stem": {"kernel": jnp.ones(3)},
            "stem_extra": {"kernel": jnp.ones(3)},
            "stem_norm": {"scale": jnp.full(3, 0.3)},
            "blocks_0": {"depthwise": {"kernel": jnp.full(3, 0.7)}},
        },
        "decoder": {"some_norm": {"scale": jnp.ones(3)}},
    }


def _flat(tree):
    return traverse_util.flatten_dict(tree, sep="/")


def test_a_step_moves_each_group_by_its_rate_and_leaves_the_frozen_bits():
    params, optimiser = _params(), make_optimiser(1e-3, 1e-2)
    state = create_state({"params": params, "batch_stats": {"mean": jnp.ones(2)}}, optimiser)
    gradients = jax.tree.map(jnp.ones_like, params)
    for _ in range(3):
        state = apply_gradients(state, gradients, optimiser, jnp.float32(0.5))
    assert int(state.step) == 3
    moved = {k: np.asarray(v - _flat(params)[k]) for k, v in _flat(state.params).items()}
    # Adam moves by its rate while the gradient stays the same; the schedule halves it.
    np.testing.assert_allclose(moved["encoder/stem/kernel"], -1.5e-3, rtol=1e-3)
    for name in ("encoder/stem_extra/kernel", "decoder/some_norm/scale"):
        np.testing.assert_allclose(moved[name], -1.5e-2, rtol=1e-3)
    for name in ("encoder/stem_norm/scale", "encoder/blocks_0/depthwise/kernel"):
        assert (moved[name] == 0).all()
    np.testing.assert_array_equal(state.stats["mean"], np.ones(2))


def test_a_factor_of_zero_changes_no_parameter():
    params, optimiser = _params(), make_optimiser(1e-3, 1e-2)
    state = create_state({"params": params, "batch_stats": {}}, optimiser)
    state = apply_gradients(state, params, optimiser, jnp.float32(0))
    for name, value in _flat(state.params).items():
        np.testing.assert_array_equal(value, _flat(params)[name])


def test_gradients_are_clipped_to_their_global_norm():
    params, optimiser = _params(), make_optimiser(1e-3, 1e-2, clip=1.0)
    huge = jax.tree.map(lambda p: jnp.full_like(p, 1e6), params)
    unit = jax.tree.map(lambda p: jnp.full_like(p, 15**-0.5), params)  # 15 numbers in all
    states = [optimiser.update(g, optimiser.init(params), params)[1] for g in (huge, unit)]
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_freeze_cuts_the_gradient_of_the_frozen_alone():
    def f(params):
        return sum(jnp.sum(jnp.square(v)) for v in jax.tree.leaves(freeze(params)))

    params = _params()
    for name, gradient in _flat(jax.grad(f)(params)).items():
        frozen = group_of(tuple(name.split("/"))) == "frozen"
        np.testing.assert_allclose(gradient, 0 if frozen else 2 * _flat(params)[name])
