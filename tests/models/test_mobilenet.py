"""MobileNetV1 against a plain forward pass written from the Keras arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ivs_jax.models.mobilenet import BLOCKS, EPSILON, MobileNetV1, load_keras

DEPTH = 6


def keras_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def norm(name: str, channels: int) -> dict[str, np.ndarray]:
        return {
            f"{name}/gamma": rng.uniform(0.5, 1.5, channels),
            f"{name}/beta": rng.normal(0, 0.2, channels),
            f"{name}/moving_mean": rng.normal(0, 0.2, channels),
            f"{name}/moving_variance": rng.uniform(0.5, 1.5, channels),
        }

    arrays = {"conv1/kernel": rng.normal(0, 0.3, (3, 3, 3, 32))} | norm("conv1_bn", 32)
    channels = 32
    for i, (features, _) in enumerate(BLOCKS[:DEPTH], 1):
        arrays[f"conv_dw_{i}/depthwise_kernel"] = rng.normal(0, 0.3, (3, 3, channels, 1))
        arrays |= norm(f"conv_dw_{i}_bn", channels)
        scale = (2 / channels) ** 0.5
        arrays[f"conv_pw_{i}/kernel"] = rng.normal(0, scale, (1, 1, channels, features))
        arrays |= norm(f"conv_pw_{i}_bn", features)
        channels = features
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def plain_forward(image, arrays):
    def conv(x, kernel, stride, groups=1):
        layout = ("NHWC", "HWIO", "NHWC")
        strides = (stride, stride)
        return lax.conv_general_dilated(
            x, kernel, strides, "SAME", dimension_numbers=layout, feature_group_count=groups
        )

    def norm_relu6(x, name):
        g, b, m, v = (
            arrays[f"{name}/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        shape = (1, 1, 1, -1)
        y = (x - m.reshape(shape)) / np.sqrt(v + EPSILON).reshape(shape)
        return jnp.clip(y * g.reshape(shape) + b.reshape(shape), 0, 6)

    x = norm_relu6(conv(2 * image - 1, arrays["conv1/kernel"], 2), "conv1_bn")
    for i, (_, stride) in enumerate(BLOCKS[:DEPTH], 1):
        kernel = np.moveaxis(arrays[f"conv_dw_{i}/depthwise_kernel"], 3, 2)
        x = norm_relu6(conv(x, kernel, stride, x.shape[-1]), f"conv_dw_{i}_bn")
        x = norm_relu6(conv(x, arrays[f"conv_pw_{i}/kernel"], 1), f"conv_pw_{i}_bn")
    return x


@pytest.mark.parametrize("size", [(32, 48), (34, 33)])
def test_equals_a_plain_forward_pass(key, size):
    module = MobileNetV1(depth=DEPTH)
    image = jax.random.uniform(key, (2, *size, 3))

    def both(module, image):
        return module(module.embed(image))

    arrays = keras_arrays()
    empty = jax.eval_shape(lambda: module.init(key, image, method=both))
    variables = load_keras(empty, arrays)
    features = jax.jit(lambda v, x: module.apply(v, x, method=both))(variables, image)
    assert {stride: f.shape[-1] for stride, f in features.items()} == {
        2: 64,
        4: 128,
        8: 256,
        16: 512,
    }
    want = jax.jit(lambda x: plain_forward(x, arrays))(image)
    scale = jnp.max(jnp.abs(want))
    np.testing.assert_allclose(features[16] / scale, want / scale, atol=1e-5)


def test_extra_channels_start_without_effect_and_then_count(key):
    module = MobileNetV1(depth=1, extra=True)
    image, extra = jax.random.uniform(key, (1, 16, 16, 3)), jnp.ones((1, 16, 16, 2))

    def both(module, image, extra):
        return module(module.embed(image), extra)[2]

    variables = module.init(key, image, extra, method=both)
    zero = module.apply(variables, image, 0 * extra, method=both)
    np.testing.assert_array_equal(module.apply(variables, image, extra, method=both), zero)
    variables["params"]["stem_extra"]["kernel"] += 1
    assert jnp.abs(module.apply(variables, image, extra, method=both) - zero).max() > 0


@pytest.mark.parametrize(
    "name", ["conv1/kernel", "conv_dw_3/depthwise_kernel", "conv_pw_2_bn/beta"]
)
def test_a_missing_or_misshapen_array_is_named(key, name):
    module = MobileNetV1(depth=DEPTH)

    def both(module, image):
        return module(module.embed(image))

    variables = jax.eval_shape(lambda: module.init(key, jnp.zeros((1, 32, 32, 3)), method=both))
    arrays = keras_arrays()
    kept = arrays.pop(name)
    with pytest.raises(ValueError, match=name):
        load_keras(variables, arrays)
    with pytest.raises(ValueError, match=name):
        load_keras(variables, arrays | {name: kept[:1]})
