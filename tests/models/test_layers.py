"""Layers against plain formulas."""

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.models.layers import FrozenBatchNorm, PReLU, ResBlock, SqueezeExcite, Upsample2
from ivs_jax.models.stm_decoder import Refine


def test_frozen_batch_norm_is_the_identity_until_measured(key):
    x = 3 + 2 * jax.random.normal(key, (2, 5, 7, 4))
    layer = FrozenBatchNorm(affine=False)
    variables = layer.init(key, x)
    np.testing.assert_allclose(layer.apply(variables, x), x, rtol=1e-4)
    _, measured = layer.apply(variables, x, mutable=["batch_stats"])
    y = layer.apply(measured, x)
    np.testing.assert_allclose(jnp.mean(y, (0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.std(y, (0, 1, 2)), 1, rtol=1e-3)
    _, again = layer.apply(measured, 2 * x + 1, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, again, measured)  # only the identity is measured


def test_affine_batch_norm_is_the_textbook_formula(key):
    x = jax.random.normal(key, (1, 3, 3, 2))
    stats = {"mean": jnp.array([1.0, -2.0]), "variance": jnp.array([4.0, 0.25])}
    params = {"scale": jnp.array([2.0, 3.0]), "bias": jnp.array([0.5, -0.5])}
    y = FrozenBatchNorm(epsilon=1e-3).apply({"params": params, "batch_stats": stats}, x)
    for c in range(2):
        root = np.sqrt(np.array(stats["variance"][c]) + 1e-3)
        want = (x[..., c] - stats["mean"][c]) / root * params["scale"][c] + params["bias"][c]
        np.testing.assert_allclose(y[..., c], want, rtol=1e-5, atol=1e-6)


def test_upsample2_is_a_transposed_convolution(key):
    x = jax.random.normal(key, (1, 3, 4, 5))
    layer = Upsample2(6)
    variables = layer.init(key, x)
    kernel = variables["params"]["kernel"]
    want = jnp.zeros((1, 6, 8, 6))
    for i in range(3):
        for j in range(4):
            patch = jnp.einsum("i,iabo->abo", x[0, i, j], kernel)
            want = want.at[0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].set(patch)
    want = jnp.where(want > 0, want, 0.25 * want)
    np.testing.assert_allclose(layer.apply(variables, x), want, rtol=1e-4, atol=1e-5)


def test_prelu_slopes_only_negative_values():
    x = jnp.array([[[[-2.0, 3.0], [4.0, -5.0]]]])
    y = PReLU().apply({"params": {"slope": jnp.array([0.1, 0.5])}}, x)
    np.testing.assert_allclose(y, [[[[-0.2, 3.0], [4.0, -2.5]]]], rtol=1e-6)


def test_squeeze_excite_gates_whole_channels(key):
    x = jax.random.normal(key, (2, 4, 4, 6))
    layer = SqueezeExcite(3)
    variables = layer.init(key, x)
    ratio = layer.apply(variables, x) / x
    np.testing.assert_allclose(ratio, ratio[:, :1, :1].repeat(4, 1).repeat(4, 2), rtol=1e-4)
    assert ((ratio > 0) & (ratio < 1)).all()


def test_res_block_starts_as_the_identity_and_refine_doubles_the_size(key):
    x = jax.random.normal(key, (1, 4, 4, 6))
    block = ResBlock(6)
    np.testing.assert_allclose(block.apply(block.init(key, x), x), x)
    skip, coarse = jnp.ones((1, 8, 8, 3)), jnp.ones((1, 4, 4, 6))
    module = Refine(5)
    assert module.apply(module.init(key, skip, coarse), skip, coarse).shape == (1, 8, 8, 5)
