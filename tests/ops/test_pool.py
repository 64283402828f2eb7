import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.ops.pool import max_pool3


def plain(x):
    n, height, width, channels = x.shape
    out = np.full((n, (height + 1) // 2, (width + 1) // 2, channels), -np.inf, x.dtype)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            rows = slice(max(0, 2 * i - 1), 2 * i + 2)
            columns = slice(max(0, 2 * j - 1), 2 * j + 2)
            out[:, i, j] = x[:, rows, columns].max((1, 2))
    return out


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (5, 5), (1, 2)])
def test_equals_the_plain_maximum(key, size):
    x = jax.random.normal(key, (2, *size, 3))
    np.testing.assert_array_equal(jax.jit(max_pool3)(x), plain(np.asarray(x)))


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_gradient_equals_that_of_the_pooling_of_linen(key, size):
    x = jax.random.normal(key, (2, *size, 3))
    weight = jax.random.normal(key, plain(np.asarray(x)).shape)

    def reference(x):
        return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))

    found, expected = (
        jax.jit(jax.grad(lambda x, f=f: jnp.sum(weight * f(x))))(x) for f in (max_pool3, reference)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_gradient_is_that_of_finite_differences(key):
    x = jax.random.permutation(key, jnp.arange(60.0)).reshape(1, 6, 5, 2)  # no ties
    check_grads(jax.jit(max_pool3), (x,), order=1, modes=["rev"], eps=0.1)
