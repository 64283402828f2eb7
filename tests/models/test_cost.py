import jax
import jax.numpy as jnp
import pytest
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


def test_what_no_result_needs_does_not_count():
    matrix = jnp.zeros((4, 4))

    def wasteful(x):
        jax.jit(lambda x: (x @ matrix, x + 1))(x)
        return jax.jit(lambda x: (x @ matrix, x + 1))(x)[1]

    assert operations(wasteful, matrix) == 16


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_a_gradient_is_twice_its_convolution(strides):
    kernel = jnp.zeros((3, 3, 4, 5))

    def forward(x, kernel):
        return conv2d(x, kernel, strides=strides, padding=((1, 1), (1, 1)))

    def both(x, kernel):
        out, vjp = jax.vjp(forward, x, kernel)
        return vjp(out)

    once = operations(forward, X, kernel)
    assert operations(both, X, kernel) == 3 * once
    # The gradient of the kernel alone does not need the convolution that gives the input's.
    assert operations(lambda x, k: both(x, k)[1], X, kernel) == 2 * once


def test_a_gradient_counts_as_xla_counts_it():
    def loss(kernels, x):
        for kernel, strides in zip(kernels, ((1, 1), (2, 2), (1, 1)), strict=True):
            x = conv2d(jnp.maximum(x, 0), kernel, strides=strides)
        return jnp.sum(x**2)

    kernels = [jnp.ones((3, 3, a, b)) for a, b in ((4, 16), (16, 16), (16, 8))]
    x = jnp.ones((2, 32, 32, 4))
    compiled = jax.jit(jax.grad(loss)).lower(kernels, x).compile()
    # XLA leaves out what lies in the padding, and counts comparisons and the like.
    assert 0.9 < compiled.cost_analysis()["flops"] / operations(jax.grad(loss), kernels, x) < 1.1
