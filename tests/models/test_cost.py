import jax
import jax.numpy as jnp
from jax import lax

from ivs_jax.models.cost import operations
from ivs_jax.ops.conv import conv2d, depthwise_conv2d

X = jnp.zeros((1, 8, 6, 4))


def test_a_convolution_counts_two_for_each_tap_of_each_output():
    kernel = jnp.zeros((3, 3, 4, 5))
    assert operations(conv2d, X, kernel) == 2 * (8 * 6 * 5) * (3 * 3 * 4)


def test_a_matrix_product():
    assert operations(jnp.matmul, jnp.zeros((7, 3)), jnp.zeros((3, 2))) == 2 * 7 * 2 * 3


def test_a_depthwise_convolution_as_shifted_products():
    found = operations(depthwise_conv2d, X, jnp.zeros((3, 3, 4)))
    assert found == (9 + 8) * 8 * 6 * 4  # nine products, eight sums


def test_a_loop_counts_as_often_as_it_runs():
    def loop(x, matrix):
        return lax.scan(lambda x, _: (x @ matrix, None), x, None, length=5)[0]

    x, matrix = jnp.zeros((4, 3)), jnp.zeros((3, 3))
    assert operations(jax.jit(loop), x, matrix) == 5 * operations(jnp.matmul, x, matrix)


def test_shapes_are_enough():
    shape = jax.ShapeDtypeStruct((10**6, 10), jnp.float32)
    assert operations(lambda x: x @ x.T[:, :2], shape) == 2 * 10**6 * 2 * 10
