"""HRNet with OCR and RITM's way into it, on a tiny one; numbers are in test_hrnet_published."""

from functools import partial
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_vjp

from ivs_jax.models import model_named
from ivs_jax.models.body import Tapped
from ivs_jax.models.hrnet import Exchange, repeated
from ivs_jax.models.ocr import OCR, gather
from tests.tiny import filled, ritm_network

QUICK = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(scope="module")
def tiny():
    """A network with weights; image, disks, previous mask. Branches from 10 x 7 down to 2 x 1."""
    net, variables = ritm_network()
    rng = np.random.default_rng(0)
    image, maps, previous = (rng.random((2, 40, 28, c), np.float32) for c in (3, 2, 1))
    return net, variables, image, (maps > 0.9).astype(np.float32), previous[..., 0]


@pytest.fixture(scope="module")
def run(tiny):
    return jax.jit(tiny[0].apply, compiler_options=QUICK)


@pytest.fixture(scope="module")
def whole(tiny, run):
    return run(*tiny[1:])


def through(net, taps, image, maps, previous):
    tapped = {tap: net.features_at(net.encode(image), maps, previous, tap=tap) for tap in taps}
    return {tap: (t.x, net.head(t, tap=tap)) for tap, t in tapped.items()}


def test_every_tap_leads_to_the_same_answer(tiny, whole):
    net, variables, *given = tiny
    cut = jax.jit(partial(net.apply, method=through), static_argnums=1, compiler_options=QUICK)
    found = cut(variables, ("f-BRS-A", "f-BRS-C"), *given)
    assert [x.shape for x, _ in found.values()] == [(2, 10, 7, 30), (2, 10, 7, 6)]
    for _, out in found.values():
        np.testing.assert_allclose(out.logits, whole.logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(out.coarse, whole.coarse, rtol=1e-4, atol=1e-5)
    assert whole.logits.shape == whole.coarse.shape == (2, 40, 28)
    assert not np.allclose(whole.logits, whole.coarse, atol=1e-2)


def test_the_first_two_taps_are_one_and_there_is_no_fourth(tiny):
    net, variables, *_ = tiny
    joined = Tapped(jnp.ones((1, 2, 2, 30)))

    def between(net, tap, other):
        return net.body.between(joined, tap, other)

    assert net.apply(variables, "f-BRS-A", "f-BRS-B", method=between) is joined
    with pytest.raises(ValueError, match="tap is 'f-BRS-D', expected one of f-BRS-A, f-BRS-B"):
        net.apply(variables, "f-BRS-A", "f-BRS-D", method=between)


def test_each_input_of_the_clicks_counts_and_the_sign_of_their_scale_does_not(tiny, run, whole):
    _, variables, image, maps, previous = tiny
    swapped = run(variables, image, maps[..., ::-1], previous)
    without = run(variables, image, maps, 0 * previous)
    for other in (swapped, without):
        assert np.abs(other.logits - whole.logits).max() > 1e-3
    params = variables["params"]
    turned = variables | {"params": params | {"mix_scale": -params["mix_scale"]}}
    np.testing.assert_array_equal(run(turned, image, maps, previous).logits, whole.logits)


def test_stacked_modules_equal_the_modules_one_by_one(tiny):
    net, variables, *_ = tiny
    stacked = {kind: values["body"]["stage3"] for kind, values in variables.items()}
    rng = np.random.default_rng(1)
    sides = ((8, 6, 2), (4, 3, 4), (2, 2, 8))
    branches = [rng.standard_normal((1, *side), np.float32) for side in sides]

    def stage(net, branches):
        return repeated(net.body.stage3, branches, 2)

    found = jax.jit(partial(net.apply, method=stage), compiler_options=QUICK)(variables, branches)
    module = Exchange((2, 4, 8), 1)
    one_by_one = jax.jit(module.apply, compiler_options=QUICK)
    for i in range(2):
        branches = one_by_one(jax.tree.map(itemgetter(i), stacked), branches)
    for x, y in zip(found, branches, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_a_region_is_the_mean_of_features_weighted_by_its_logits():
    rng = np.random.default_rng(0)
    x, logits = rng.standard_normal((1, 3, 4, 5)), rng.standard_normal((1, 3, 4, 2))
    want = np.zeros((2, 5))
    for k in range(2):
        weights = np.exp(logits[0, ..., k])
        for i, j in np.ndindex(3, 4):
            want[k] += weights[i, j] / weights.sum() * x[0, i, j]
    np.testing.assert_allclose(gather(x, logits)[0], want, rtol=1e-5)


def test_with_one_region_its_likeness_has_no_influence():
    head = OCR(channels=6, width=4)
    x = np.random.default_rng(0).standard_normal((1, 5, 4, 6), np.float32)
    variables = filled(jax.eval_shape(lambda x: head.init(jax.random.key(0), x), x))

    @jax.jit
    @jax.grad
    def gradient(params):
        features, _ = head.apply(variables | {"params": params}, x)
        return jnp.sum(features**2)

    norms = {
        name.split("_")[0]: sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(layer))
        for name, layer in gradient(variables["params"]).items()
    }
    silent = {name for name, norm in norms.items() if norm == 0}
    assert silent == {"pixel", "region"}


def test_gradients_by_image_maps_and_previous_mask(tiny):
    """In float64: a step that float32 can measure would turn ReLUs."""
    net, *given = tiny
    with jax.enable_x64(True):
        variables, *inputs = jax.tree.map(partial(jnp.asarray, dtype=jnp.float64), given)

        def logits(*inputs):
            return net.apply(variables, *inputs).logits

        def pulled_back(cotangent, *inputs):
            return jax.vjp(logits, *inputs)[1](cotangent)

        function, gradient = (jax.jit(f, compiler_options=QUICK) for f in (logits, pulled_back))

        def pair(*inputs, factor=1.0):
            return function(*inputs), lambda cotangent: gradient(factor * cotangent, *inputs)

        check = partial(check_vjp, function, eps=1e-6, atol=1e-6, rtol=1e-5)
        check(pair, tuple(inputs))
        with pytest.raises(AssertionError):
            check(partial(pair, factor=1.001), tuple(inputs))


def test_published_settings():
    config = model_named("ritm-hrnet18").config
    assert (config.maps, config.radius, config.previous) == ("disks", 5.0, True)
    assert (config.threshold, config.input_size, config.flip) == (0.49, 400, True)
