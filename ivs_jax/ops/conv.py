"""Convolutions that stay fast everywhere, also inside `while_loop` and `scan` on CPU.

XLA on CPU rewrites unusual convolutions to its fast form only outside loops. Autodiff writes the
gradients of a convolution in such an unusual form, so a refinement loop that back-propagates
through a network, or training that accumulates gradients in a loop, is 10-100 times slower than the
same gradient outside. Here both gradients are again ordinary channels-last convolutions, which are
fast in both places, and a depthwise convolution on CPU is a sum of shifted products. `ivs bench
conv` measures these claims.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

LAYOUT = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]
Pair = tuple[int, int]
Saved = tuple[Array, Array]


def explicit_padding(
    padding: str | Sequence[Any], size: Pair, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)
) -> Pads:
    """Turns "SAME", "VALID" or pairs into explicit `((top, bottom), (left, right))` padding."""
    if not isinstance(padding, str):
        (top, bottom), (left, right) = list(padding)
        return (int(top), int(bottom)), (int(left), int(right))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows, columns = lax.padtype_to_pads(size, extent, strides, padding.upper())
    return (int(rows[0]), int(rows[1])), (int(columns[0]), int(columns[1]))


def _lax_conv(x: Array, kernel: Array, strides: Pair, pads: Pads, lhs: Pair, rhs: Pair) -> Array:
    return lax.conv_general_dilated(
        x, kernel, strides, pads, lhs_dilation=lhs, rhs_dilation=rhs, dimension_numbers=LAYOUT
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv(x: Array, kernel: Array, strides: Pair, pads: Pads, dilation: Pair) -> Array:
    return _lax_conv(x, kernel, strides, pads, (1, 1), dilation)


def _conv_forward(
    x: Array, kernel: Array, strides: Pair, pads: Pads, dilation: Pair
) -> tuple[Array, Saved]:
    return _conv(x, kernel, strides, pads, dilation), (x, kernel)


def _conv_backward(
    strides: Pair, pads: Pads, dilation: Pair, saved: Saved, cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    input_pads: list[Pair] = []
    for axis in range(2):
        extent = (kernel.shape[axis] - 1) * dilation[axis] + 1
        spread = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
        low = extent - 1 - pads[axis][0]
        input_pads.append((low, x.shape[1 + axis] + extent - 1 - spread - low))
    flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    dx = _lax_conv(cotangent, flipped, (1, 1), (input_pads[0], input_pads[1]), strides, dilation)
    return dx, _kernel_gradient(x, cotangent, kernel, strides, pads, dilation)


def _kernel_gradient(
    x: Array, cotangent: Array, kernel: Array, strides: Pair, pads: Pads, dilation: Pair
) -> Array:
    if jax.default_backend() != "cpu":  # elsewhere the library has a routine for autodiff's form
        _, vjp = jax.vjp(lambda k: _lax_conv(x, k, strides, pads, (1, 1), dilation), kernel)
        return vjp(cotangent)[0]
    # Input channels as the batch, the batch as channels, and the cotangent as a large kernel.
    kernel_pads: list[Pair] = []
    for axis in range(2):
        spread = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
        extent = spread + (kernel.shape[axis] - 1) * dilation[axis]
        low = pads[axis][0]
        kernel_pads.append((low, extent - x.shape[1 + axis] - low))
    images, window = jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(cotangent, (1, 2, 0, 3))
    pairs = (kernel_pads[0], kernel_pads[1])
    return jnp.transpose(_lax_conv(images, window, dilation, pairs, (1, 1), strides), (1, 2, 0, 3))


_conv.defvjp(_conv_forward, _conv_backward)


def conv2d(
    x: Array,
    kernel: Array,
    *,
    strides: Pair = (1, 1),
    padding: str | Sequence[Any] = "SAME",
    dilation: Pair = (1, 1),
) -> Array:
    """Convolves `x` `[N, H, W, I]` with `kernel` `[kh, kw, I, O]` to `[N, H', W', O]`."""
    if kernel.shape[:2] == (1, 1) and padding in ("SAME", "VALID", ((0, 0), (0, 0))):
        return _pointwise(x[:, :: strides[0], :: strides[1]], kernel[0, 0])
    size, extent = (x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1])
    return _conv(
        x, kernel, strides, explicit_padding(padding, size, extent, strides, dilation), dilation
    )


@jax.custom_vjp
def _pointwise(x: Array, kernel: Array) -> Array:
    return jnp.tensordot(x, kernel, 1)


def _pointwise_forward(x: Array, kernel: Array) -> tuple[Array, Saved]:
    return _pointwise(x, kernel), (x, kernel)


def _pointwise_backward(saved: Saved, cotangent: Array) -> tuple[Array, Array]:
    # The kernel's gradient reads both transposed. Without barriers XLA computes what made them once
    # more in that order, which costs a MobileNet half of its gradient's time on CPU.
    x, cotangent = lax.optimization_barrier((saved[0], cotangent))
    rows, columns = (a.reshape(-1, a.shape[-1]) for a in (x, cotangent))
    return jnp.tensordot(cotangent, saved[1].T, 1), rows.T @ columns


_pointwise.defvjp(_pointwise_forward, _pointwise_backward)


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[Any],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    **_: Any,
) -> Array:
    """`conv2d` under the signature that `flax.linen.Conv(conv_general_dilated=...)` calls."""
    if feature_group_count != 1 or (lhs_dilation and tuple(lhs_dilation) != (1, 1)):
        raise ValueError("conv_general_dilated: groups and input dilation are not supported here")
    strides = (window_strides[0], window_strides[1])
    dilation = (rhs_dilation[0], rhs_dilation[1]) if rhs_dilation else (1, 1)
    pairs = padding if isinstance(padding, str) else tuple(tuple(p) for p in padding)
    return conv2d(lhs, rhs, strides=strides, padding=pairs, dilation=dilation)


def depthwise_conv2d(
    x: Array, kernel: Array, *, strides: Pair = (1, 1), padding: str | Sequence[Any] = "SAME"
) -> Array:
    """Convolves every channel of `x` `[N, H, W, C]` with its own `kernel` `[kh, kw, C]`."""
    size, extent = (x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1])
    pads = explicit_padding(padding, size, extent, strides)
    if jax.default_backend() == "cpu":
        return _depthwise(x, kernel, strides, pads)
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        strides,
        pads,
        dimension_numbers=LAYOUT,
        feature_group_count=x.shape[-1],
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(x: Array, kernel: Array, strides: Pair, pads: Pads) -> Array:
    # The barriers keep XLA from recomputing what made `x` (or the cotangent) once for every tap.
    return _shifted_products(lax.optimization_barrier(x), kernel, strides, pads)


def _depthwise_forward(x: Array, kernel: Array, strides: Pair, pads: Pads) -> tuple[Array, Saved]:
    return _depthwise(x, kernel, strides, pads), (x, kernel)


def _depthwise_backward(
    strides: Pair, pads: Pads, saved: Saved, cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    cotangent = lax.optimization_barrier(cotangent)
    _, vjp = jax.vjp(lambda x, k: _shifted_products(x, k, strides, pads), x, kernel)
    low = [k - 1 - p[0] for k, p in zip(kernel.shape, pads, strict=False)]
    high = [k - 1 - p[1] for k, p in zip(kernel.shape, pads, strict=False)]
    if strides != (1, 1) or min(low + high) < 0:
        return vjp(cotangent)
    # Without a stride the input gradient is again a depthwise convolution, twice as fast as
    # adding up the padded gradients of all slices.
    swapped = ((low[0], high[0]), (low[1], high[1]))
    return _shifted_products(cotangent, kernel[::-1, ::-1], strides, swapped), vjp(cotangent)[1]


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _shifted_products(x: Array, kernel: Array, strides: Pair, pads: Pads) -> Array:
    """Sum over the taps of a shifted copy of `x` times one number per channel.

    With a stride the padded input is split into its phases first: a strided slice of each tap
    would have a gradient that scatters, a slice of a phase has one that pads.
    """
    (kh, kw, channels), (sy, sx) = kernel.shape, strides
    height = (x.shape[1] + sum(pads[0]) - kh) // sy + 1
    width = (x.shape[2] + sum(pads[1]) - kw) // sx + 1
    tall, wide = sy * (height + (kh - 1) // sy), sx * (width + (kw - 1) // sx)
    (top, bottom), (left, right) = pads
    bottom = max(bottom, tall - x.shape[1] - top)
    right = max(right, wide - x.shape[2] - left)
    padded = jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))[:, :tall, :wide]
    phases = padded.reshape(-1, tall // sy, sy, wide // sx, sx, channels)
    out: Array | None = None
    for i in range(kh):
        for j in range(kw):
            phase = phases[:, :, i % sy, :, j % sx]
            tap = phase[:, i // sy : i // sy + height, j // sx : j // sx + width]
            product = tap * kernel[None, None, i : i + 1, j]
            out = product if out is None else out + product
    assert out is not None
    return out
