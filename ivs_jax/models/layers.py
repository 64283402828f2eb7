"""Layers that several networks share. All work channels-last on `[N, H, W, C]`."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from ivs_jax.ops.conv import conv_general_dilated, depthwise_conv2d

Conv = functools.partial(nn.Conv, conv_general_dilated=conv_general_dilated)
HE = nn.initializers.he_normal()
BLOCK = "block"


def block_output(x: Array) -> Array:
    """`x`, marked as the output of a block: kept where training computes the rest again.

    See `remat` of `training.step`.
    """
    return checkpoint_name(x, BLOCK)


def over_channels(values: Array, x: Array) -> Array:
    """One number per channel `[C]`, in the dtype of `x` and shaped to broadcast against it."""
    return values.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with stored statistics that no gradient step changes.

    All systems here train with frozen statistics. They live in the collection "batch_stats" and
    are the identity at first; `apply(..., mutable=["batch_stats"])` measures those that still are
    on the batch given (how a decoder that starts from scratch gets its scale, once, before
    training, behind an encoder that has its own).
    """

    affine: bool = True
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        variance = self.variable("batch_stats", "variance", jnp.ones, (channels,))
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            axes = tuple(range(x.ndim - 1))
            unmeasured = jnp.all(mean.value == 0) & jnp.all(variance.value == 1)
            mean.value = jnp.where(unmeasured, jnp.mean(x, axes), mean.value)
            variance.value = jnp.where(unmeasured, jnp.var(x, axes), variance.value)
        factor = jax.lax.rsqrt(variance.value + self.epsilon)
        offset = -mean.value * factor
        if self.affine:
            scale = self.param("scale", nn.initializers.ones, (channels,))
            bias = self.param("bias", nn.initializers.zeros, (channels,))
            factor, offset = factor * scale, offset * scale + bias
        return x * over_channels(factor, x) + over_channels(offset, x)


class ConvNorm(nn.Module):
    """Convolution with PyTorch's padding, normalisation, then ReLU if `act`."""

    features: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    bias: bool = False
    act: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        side, reach = (self.kernel, self.kernel), self.dilation * (self.kernel // 2)
        x = Conv(
            self.features,
            side,
            (self.stride, self.stride),
            ((reach, reach), (reach, reach)),
            kernel_dilation=(self.dilation, self.dilation),
            use_bias=self.bias,
            kernel_init=HE,
            name="conv",
        )(x)
        x = FrozenBatchNorm(name="norm")(x)
        return nn.relu(x) if self.act else x


class Depthwise(nn.Module):
    """Depthwise 3 x 3 convolution without bias, "SAME" padding."""

    stride: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", HE, (3, 3, x.shape[-1]))
        strides = (self.stride, self.stride)
        return depthwise_conv2d(x, kernel.astype(x.dtype), strides=strides)


class PReLU(nn.Module):
    """Leaky rectifier with one learnt slope per channel."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        slope = self.param("slope", nn.initializers.constant(0.25), (x.shape[-1],))
        return jnp.where(x >= 0, x, over_channels(slope, x) * x)


class ConvUnit(nn.Module):
    """BRS's unit: convolution -> PReLU -> normalisation without affine (in this order)."""

    features: int
    kernel: int = 3
    dilation: int = 1
    stride: int = 1
    bias: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        side, strides = (self.kernel, self.kernel), (self.stride, self.stride)
        dilation = (self.dilation, self.dilation)
        x = Conv(
            self.features,
            side,
            strides,
            kernel_dilation=dilation,
            use_bias=self.bias,
            kernel_init=HE,
            name="conv",
        )(x)
        return FrozenBatchNorm(affine=False, name="norm")(PReLU(name="act")(x))


def transposed(x: Array, kernel: Array) -> Array:
    """Transposed convolution whose stride is its size: `[N, H, W, I]` -> `[N, kH, kW, O]`.

    `kernel` is `[I, k, k, O]`. No windows overlap: it is one matrix product and a re-ordering of
    pixels.
    """
    y = jnp.einsum("nhwi,iabo->nhawbo", x, kernel.astype(x.dtype))
    n, h, a, w, b, c = y.shape
    return y.reshape(n, h * a, w * b, c)


class Upsample2(nn.Module):
    """BRS's 2 x 2 transposed convolution of stride 2, then PReLU and normalisation."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", HE, (x.shape[-1], 2, 2, self.features))
        y = PReLU(name="act")(transposed(x, kernel))
        return FrozenBatchNorm(affine=False, name="norm")(y)


class SqueezeExcite(nn.Module):
    """Channel gate: global mean -> 1 x 1 to `reduced` -> ReLU -> 1 x 1 -> sigmoid -> product."""

    reduced: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        squeezed = jnp.mean(x, (1, 2))
        hidden = nn.relu(nn.Dense(self.reduced, kernel_init=HE, name="reduce")(squeezed))
        gate = nn.sigmoid(nn.Dense(x.shape[-1], name="expand")(hidden))
        return x * gate[:, None, None]


class ResBlock(nn.Module):
    """STM's residual block: ReLU - 3x3 - ReLU - 3x3 plus the input, biases, no normalisation.

    An input of another width is first projected by a convolution, `projection` wide (published: 3).
    """

    features: int
    projection: int = 3

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = Conv(self.features, (3, 3), kernel_init=HE, name="conv1")(nn.relu(x))
        y = Conv(self.features, (3, 3), kernel_init=nn.initializers.zeros, name="conv2")(nn.relu(y))
        if x.shape[-1] != self.features:
            side = (self.projection, self.projection)
            x = Conv(self.features, side, kernel_init=HE, name="downsample")(x)
        return block_output(x + y)
