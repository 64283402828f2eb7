"""The DenseNet encoder's conventions; its numbers are compared in test_brs_published."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models.densenet import MEAN_RGB, DenseNet, caffe_image
from ivs_jax.ops.conv import conv2d
from tests.tiny import filled

NET = DenseNet(layers=(2, 1, 3), growth=4, width=8, extra=True)
SIZE = (32, 48)


def whole(net, image, extra):
    return net(net.embed(image), extra)


@pytest.fixture(scope="module")
def case():
    a, b, c = jax.random.split(jax.random.key(0), 3)
    image, extra = jax.random.uniform(a, (1, *SIZE, 3)), jax.random.uniform(b, (1, *SIZE, 2))
    variables = filled(jax.eval_shape(lambda: NET.init(c, image, extra, method=whole)))
    taps = jax.jit(lambda *x: NET.apply(*x, method=whole))(variables, image, extra)
    return image, extra, variables, taps


def test_taps_are_the_concatenations(case):
    _, _, variables, taps = case
    shapes = {stride: tap.shape for stride, tap in taps.items()}
    assert shapes == {4: (1, 8, 12, 16), 8: (1, 4, 6, 12), 16: (1, 2, 3, 18)}
    # The first channels of each are what came into the block, with no normalisation after.
    params, stats = (variables[k]["transition2"] for k in ("params", "batch_stats"))
    norm = params["norm"], stats["norm"]
    factor = norm[0]["scale"] / np.sqrt(norm[1]["variance"] + 1e-5)
    y = (taps[8][0] - norm[1]["mean"][None, None]) * factor[None, None]
    y = np.maximum(y + norm[0]["bias"][None, None], 0) @ params["conv"]["kernel"][0, 0]
    mean = (y[::2, ::2] + y[1::2, ::2] + y[::2, 1::2] + y[1::2, 1::2]) / 4
    np.testing.assert_allclose(taps[16][0, ..., :6], mean, rtol=1e-4, atol=1e-5)


def test_image_and_maps_enter_one_kernel(case):
    image, extra, variables, taps = case
    kernels = [variables["params"][name]["kernel"] for name in ("stem", "stem_extra")]
    both = jnp.concatenate([caffe_image(image), extra], -1)
    pads = ((3, 3), (3, 3))
    joined = conv2d(both, jnp.concatenate(kernels, 2), strides=(2, 2), padding=pads)
    got = jax.jit(NET.apply)(variables, joined)
    np.testing.assert_allclose(got[16], taps[16], rtol=1e-3, atol=1e-4)


def test_preprocessing_is_caffe_s():
    image = jnp.array([MEAN_RGB, (0.0, 0.0, 255.0)]) / 255
    found = caffe_image(image)
    np.testing.assert_allclose(found[0], np.zeros(3), atol=1e-6)
    want = 0.017 * np.array([255 - 103.939, -116.779, -123.68])  # blue first
    np.testing.assert_allclose(found[1], want, rtol=1e-6)
