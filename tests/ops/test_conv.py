import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from ivs_jax.ops.conv import conv2d, conv_general_dilated, depthwise_conv2d

LAYOUT = ("NHWC", "HWIO", "NHWC")
EXPLICIT = ((2, 0), (1, 3))
# kernel, strides, dilation, padding: every kernel, stride and dilation in each kind of padding.
CASES = [
    (1, (1, 1), (1, 1), "SAME"),
    (1, (2, 2), (1, 1), "SAME"),
    (1, (3, 2), (1, 1), "VALID"),
    (1, (1, 1), (1, 1), EXPLICIT),
    (3, (1, 1), (1, 1), "SAME"),
    (3, (1, 1), (2, 2), "VALID"),
    (3, (2, 2), (1, 1), "SAME"),
    (3, (2, 3), (2, 1), EXPLICIT),
    (3, (1, 1), (4, 4), "SAME"),
    (3, (1, 1), (1, 1), ((4, 4), (3, 5))),  # more padding than the kernel reaches
    (5, (2, 2), (2, 2), "SAME"),
    (5, (3, 3), (1, 1), "VALID"),
    (7, (1, 2), (1, 1), EXPLICIT),
    (7, (3, 3), (2, 1), "SAME"),
]


def _normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _compare(ours, theirs, x, kernel):
    """Forward values and both gradients of two functions of (x, kernel), in one program."""

    @jax.jit
    def both(x, kernel):
        found, expected = (jax.vjp(f, x, kernel) for f in (ours, theirs))
        cotangent = jnp.cos(jnp.arange(expected[0].size, dtype=jnp.float32))
        cotangent = cotangent.reshape(expected[0].shape)
        return [(out, *vjp(cotangent)) for out, vjp in (found, expected)]

    found, expected = both(x, kernel)
    for name, a, b in zip(("forward", "dx", "dkernel"), found, expected, strict=True):
        assert a.shape == b.shape, name
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize(("kernel", "strides", "dilation", "padding"), CASES)
def test_conv_and_its_gradients_are_those_of_lax(kernel, strides, dilation, padding):
    def theirs(x, k):
        return lax.conv_general_dilated(
            x, k, strides, padding, rhs_dilation=dilation, dimension_numbers=LAYOUT
        )

    ours = functools.partial(conv2d, strides=strides, padding=padding, dilation=dilation)
    _compare(ours, theirs, _normal(0, 2, 17, 14, 3), _normal(1, kernel, kernel, 3, 4))


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "padding"),
    [
        ((9, 7), (3, 3), (1, 1), "SAME"),
        ((9, 8), (3, 3), (2, 2), "SAME"),
        ((8, 8), (3, 3), (2, 2), "SAME"),
        ((11, 10), (3, 5), (3, 2), "SAME"),
        ((8, 11), (5, 3), (3, 3), "VALID"),
        ((8, 9), (4, 2), (1, 1), ((2, 1), (0, 3))),
        ((7, 6), (3, 3), (1, 1), ((4, 3), (3, 4))),  # more padding than the kernel reaches
        ((7, 9), (2, 2), (2, 3), "VALID"),
    ],
)
def test_depthwise_and_its_gradients_are_those_of_a_grouped_lax_convolution(
    size, kernel, strides, padding
):
    def theirs(x, k):
        return lax.conv_general_dilated(
            x, k[:, :, None], strides, padding, dimension_numbers=LAYOUT, feature_group_count=5
        )

    ours = functools.partial(depthwise_conv2d, strides=strides, padding=padding)
    _compare(ours, theirs, _normal(2, 2, *size, 5), _normal(3, *kernel, 5))


def test_gradients_agree_with_finite_differences():
    def f(x, k, d):
        return jnp.sum(jnp.sin(depthwise_conv2d(conv2d(x, k, strides=(2, 2)), d)))

    x, k, d = _normal(4, 1, 7, 6, 2), _normal(5, 3, 3, 2, 3), _normal(6, 3, 3, 3)
    check_grads(jax.jit(f), (x, k, d), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_gradients_inside_a_loop_equal_those_outside():
    def f(x, k, d):
        return jnp.sum(jnp.square(depthwise_conv2d(conv2d(x, k, dilation=(2, 2)), d)))

    def descend(inputs):
        gradients = jax.grad(f, argnums=(0, 1, 2))(*inputs)
        return tuple(v - 1e-3 * g for v, g in zip(inputs, gradients, strict=True))

    start = _normal(9, 1, 9, 8, 2), _normal(7, 3, 3, 2, 4), _normal(8, 3, 3, 4)
    inside = jax.jit(lambda v: lax.fori_loop(0, 3, lambda _, v: descend(v), v))(start)
    outside, one = start, jax.jit(descend)
    for _ in range(3):
        outside = one(outside)
    for before, found, expected in zip(start, inside, outside, strict=True):
        assert np.abs(expected - before).max() > 1e-2
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("strides", "dilation"), [((1, 1), (2, 2)), ((2, 3), (1, 1))])
def test_the_kernel_gradient_on_other_devices_is_that_of_cpus(monkeypatch, strides, dilation):
    x, kernel = _normal(12, 2, 17, 14, 3), _normal(13, 3, 3, 3, 4)

    def gradient(kernel):
        out = conv2d(x, kernel, strides=strides, dilation=dilation)
        return jnp.sum(jnp.sin(out))

    expected = jax.jit(jax.grad(gradient))(kernel)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    found = jax.jit(lambda k: jax.grad(gradient)(k))(kernel)
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=2e-5)


def test_flax_adapter_is_the_same_convolution():
    x, k = _normal(10, 1, 8, 9, 2), _normal(11, 3, 3, 2, 3)
    found = conv_general_dilated(
        x,
        k,
        [2, 1],
        [(1, 0), (2, 1)],
        lhs_dilation=(1, 1),
        rhs_dilation=(1, 2),
        dimension_numbers=None,
        preferred_element_type=None,
    )
    expected = conv2d(x, k, strides=(2, 1), padding=((1, 0), (2, 1)), dilation=(1, 2))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("option", [{"feature_group_count": 2}, {"lhs_dilation": (2, 2)}])
def test_flax_adapter_refuses_what_it_cannot_do(option):
    with pytest.raises(ValueError, match="groups and input dilation"):
        conv_general_dilated(
            jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2)), (1, 1), "SAME", **option
        )
