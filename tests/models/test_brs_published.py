"""The published BRS network against a plain PyTorch version, through the converter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.models import initial_variables, model_named
from ivs_jax.models.brs import BRS
from ivs_jax.weights.convert import convert
from tests.synthetic import caffe_blobs, relative_error
from tests.tiny import dense_network, tiny  # noqa: F401

torch = pytest.importorskip("torch")
F = torch.nn.functional

NAME = "brs-densenet121"
SIZE = (96, 128)


class PlainBRS:
    """experiments/papers/brs.md, section A1, layer by layer, on Caffe's own blobs."""

    def __init__(self, blobs):
        self.blobs = {name: torch.from_numpy(value) for name, value in blobs.items()}

    def conv(self, x, layer, *, bias=False, **options):
        return F.conv2d(
            x, self.blobs[f"{layer}/0"], self.blobs[f"{layer}/1"] if bias else None, **options
        )

    def norm(self, x, layer):
        mean, variance, factor = (self.blobs[f"{layer}/{i}"] for i in range(3))
        return F.batch_norm(x, mean / factor, variance / factor, eps=1e-5)

    def norm_relu(self, x, layer):
        x = self.norm(x, f"{layer}/bn")
        gain, offset = self.blobs[f"{layer}/scale/0"], self.blobs[f"{layer}/scale/1"]
        return F.relu(x * gain[:, None, None] + offset[:, None, None])

    def prelu_norm(self, x, layer):
        return self.norm(F.prelu(x, self.blobs[f"prelu_{layer}/0"]), f"bn_{layer}")

    def unit(self, x, layer, **options):
        return self.prelu_norm(self.conv(x, f"conv_{layer}", **options), layer)

    def gate(self, x, reduce, expand):
        y = self.conv(x.mean((2, 3), keepdim=True), reduce, bias=True)
        return x * torch.sigmoid(self.conv(F.relu(y), expand, bias=True))

    def encoder(self, x):
        x = self.norm_relu(self.conv(x, "conv1", stride=2, padding=3), "conv1")
        x, taps = F.max_pool2d(x, 3, 2, 1), []
        for block, count in ((2, 6), (3, 12), (4, 24), (5, 16)):
            for i in range(1, count + 1):
                name = f"conv{block}_{i}"
                y = self.conv(self.norm_relu(x, f"{name}/x1"), f"{name}/x1")
                y = self.conv(self.norm_relu(y, f"{name}/x2"), f"{name}/x2", padding=1)
                x = torch.cat([x, y], 1)
            taps.append(x)
            if block < 5:
                name = f"conv{block}_blk"
                x = F.avg_pool2d(self.conv(self.norm_relu(x, name), name), 2)
        return taps

    def coarse(self, taps):
        x = None
        for stride, tap in zip((32, 16, 8, 4), reversed(taps), strict=True):
            name = f"1/{stride}"
            tap = self.gate(tap, f"conv_SE_{name}_1", f"conv_SE_{name}_2")
            if x is not None:
                x = F.conv_transpose2d(x, self.blobs[f"deconv_{name}d/0"], stride=2)
                skip = self.prelu_norm(self.conv(tap, f"conv_SE_{name}", bias=True), f"SE_{name}")
                tap = torch.cat([self.prelu_norm(x, f"{name}d"), skip], 1)
            x = self.unit(self.unit(tap, f"{name}_1d", padding=1), f"{name}_2d", padding=1)
            x = self.unit(x, f"{name}_3d")
        x = self.conv(x, "pred_1/4", bias=True)
        return F.conv_transpose2d(x, self.blobs["pred_step_1/0"], stride=4)

    def fine(self, x):
        branches = []
        for d in (1, 2, 3):
            y = self.unit(x, f"atrous{d}_1", padding=d, dilation=d)
            y = self.unit(y, f"atrous{d}_2", padding=1)
            branches.append(self.unit(y, f"atrous{d}_3"))
        x = self.gate(torch.cat(branches, 1), "conv_s2_down", "conv_s2_up")
        return self.conv(self.unit(x, "p1_1", padding=1), "pred_step_2", bias=True)

    def __call__(self, rgb, maps):
        bgr = 255 * rgb[..., ::-1] - np.array([103.939, 116.779, 123.68])
        both = np.concatenate([0.017 * bgr, maps], -1).astype(np.float32)
        with torch.no_grad():
            x = torch.from_numpy(np.ascontiguousarray(both.transpose(0, 3, 1, 2)))
            coarse = self.coarse(self.encoder(x))
            fine = self.fine(torch.cat([x, torch.sigmoid(coarse)], 1))
        return fine[:, 0].numpy(), coarse[:, 0].numpy()


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    image, maps = rng.random((1, *SIZE, 3)), rng.random((1, *SIZE, 2))
    return image.astype(np.float32), maps.astype(np.float32)


@pytest.fixture(scope="module")
def outputs(inputs):
    net = model_named(NAME).build()
    previous = np.zeros((1, *SIZE), np.float32)
    return jax.jit(net.apply)(convert(NAME, caffe_blobs()), *inputs, previous)


def test_both_outputs_equal_those_of_pytorch(inputs, outputs):
    logits, coarse = PlainBRS(caffe_blobs())(*inputs)
    assert np.std(logits) > 1e-2 and np.std(coarse) > 1e-3
    assert relative_error(outputs.coarse, coarse) <= 1e-4
    assert relative_error(outputs.logits, logits) <= 1e-4


def test_registry_has_the_published_settings():
    model = model_named(NAME, kind="click")
    assert model.published.checkpoint == "BRS_DenseNet.caffemodel"
    shapes = jax.eval_shape(lambda key: initial_variables(model, key), jax.random.key(0))
    factors = sum(name.endswith("/2") for name in caffe_blobs())
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert count + factors == 17_661_241
    assert (BRS.maps, BRS.previous, BRS.threshold, BRS.input_size) == ("brs", False, 0.5, 480)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda blobs: blobs.pop("pred_step_1/0"), "pred_step_1/0"),
        (lambda blobs: blobs.update({"loss/0": np.zeros(1)}), "loss/0"),
        (lambda blobs: blobs.update({"conv1/0": np.zeros((64, 3, 7, 7))}), "conv1/0 .*7, 7"),
        (lambda blobs: blobs.update({"prelu_p1_1/0": np.zeros(1)}), r"prelu_p1_1/0 .*\(1,\)"),
    ],
)
def test_a_wrong_blob_is_named(change, message):
    blobs = caffe_blobs()
    change(blobs)
    with pytest.raises(ValueError, match=message):
        convert(NAME, blobs)


@pytest.mark.usefixtures("tiny")
def test_gradients_of_maps_and_image_are_right():
    # float64, because finite differences long enough for float32 step over many a ReLU's kink.
    rng = np.random.default_rng(0)
    image, maps = rng.random((1, 16, 16, 3)), rng.random((1, 16, 16, 2))
    weights = rng.standard_normal((2, 1, 16, 16))
    with jax.enable_x64(True):
        net, variables = dense_network()
        variables = jax.tree.map(np.float64, variables)

        @jax.jit
        def energy(image, maps):
            out = net.apply(variables, image, maps, maps[..., 0])
            return jnp.sum(weights[0] * out.logits + weights[1] * out.coarse)

        assert jnp.abs(jax.grad(energy, 1)(image, maps)).max() > 1e-3
        check_grads(energy, (image, maps), order=1, modes=["rev"], atol=1e-3, rtol=1e-3, eps=1e-6)


@pytest.mark.usefixtures("tiny")
def test_the_mask_before_does_not_count():
    net, variables = dense_network()
    image, maps = jnp.full((1, 16, 16, 3), 0.4), jnp.ones((1, 16, 16, 2))
    apply = jax.jit(net.apply)
    one, other = (apply(variables, image, maps, jnp.full((1, 16, 16), v)) for v in (0.0, 1.0))
    np.testing.assert_array_equal(one.logits, other.logits)


@pytest.mark.usefixtures("tiny")
def test_sides_that_do_not_fit_and_an_unknown_tap_are_errors():
    net, variables = dense_network()
    with pytest.raises(ValueError, match="sides must be multiples of 8, found 16 x 20"):
        net.apply(variables, jnp.zeros((1, 16, 20, 3)), method="encode")
    with pytest.raises(ValueError, match="no tap 'f-BRS-C', expected one of f-BRS-B"):
        net.apply(variables, None, tap="f-BRS-C", method="head")
