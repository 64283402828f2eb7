"""The click network's cuts, start and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.models import initial_variables, model_named
from ivs_jax.models.brs import ClickNet
from tests.tiny import CLICK, click_network, tiny  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")


def inputs(key, batch=2, side=32):
    a, b, c = jax.random.split(key, 3)
    return (
        jax.random.uniform(a, (batch, side, side, 3)),
        jax.random.uniform(b, (batch, side, side, 2)),
        jax.random.uniform(c, (batch, side, side)),
    )


def applied(net, method=None):
    """`net.apply`, compiled: op by op it is far slower."""
    return jax.jit(lambda *args: net.apply(*args, method=method))


def test_the_cuts_join_to_the_whole(key):
    net, variables = click_network(key)
    image, maps, previous = inputs(key)
    whole = applied(net)(variables, image, maps, previous)
    features = applied(net, "encode")(variables, image)
    tapped = applied(net, "features_at")(variables, features, maps, previous)
    out = applied(net, "head")(variables, tapped)
    np.testing.assert_allclose(out.logits, whole.logits, rtol=1e-4, atol=1e-5)
    assert whole.logits.shape == whole.coarse.shape == (2, 32, 32)


def test_a_sample_does_not_depend_on_its_batch(key):
    net, variables = click_network(key)
    image, maps, previous = inputs(key)
    whole = applied(net)(variables, image, maps, previous).logits
    alone = applied(net)(variables, image[1:], maps[1:], previous[1:]).logits
    np.testing.assert_allclose(alone, whole[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_untrained_fine_decoder_answers_with_the_coarse_mask(key):
    net = ClickNet(CLICK)
    image, maps, previous = inputs(key, batch=1)
    variables = jax.jit(net.init)(key, image, maps, previous)
    out = applied(net)(variables, image, maps, previous)
    np.testing.assert_array_equal(out.logits, out.coarse)


def test_every_input_counts(key):
    net, variables = click_network(key)
    image, maps, previous = inputs(key, batch=1)

    def energy(image, maps, previous):
        return jnp.sum(net.apply(variables, image, maps, previous).logits ** 2)

    for gradient in jax.jit(jax.grad(energy, (0, 1, 2)))(image, maps, previous):
        assert jnp.max(jnp.abs(gradient)) > 0


@pytest.mark.slow
def test_gradient_of_the_maps_is_right(key):
    net, variables = click_network(key)
    image, maps, previous = inputs(key, batch=1)
    check_grads(
        jax.jit(lambda m: jnp.mean(applied(net)(variables, image, m, previous).logits)),
        (maps,),
        order=1,
        modes=["rev"],
        atol=2e-2,
        rtol=2e-2,
        eps=1e-2,
    )


def test_registry(key):
    shapes = jax.eval_shape(lambda: initial_variables(model_named("click-small"), key))
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert 2e6 < count < 4e6
    with pytest.raises(ValueError, match="unknown click model 'stm-small', expected.*click-small"):
        model_named("stm-small", kind="click")
