"""DeepLabV3+ of f-BRS against a plain PyTorch one, its taps and its gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.models import model_named
from ivs_jax.weights.convert import convert
from tests.synthetic import MEAN, STD, relative_error, state_dict
from tests.tiny import fbrs_network, narrow  # noqa: F401

QUICK = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}


class Plain:
    """The network of experiments/papers/brs.md, sections B1 and B2, with a deep stem.

    It computes straight from a state dict.
    """

    def __init__(self, torch, tensors, blocks):
        self.torch, self.f, self.blocks = torch, torch.nn.functional, blocks
        self.tensors = {
            name: torch.from_numpy(np.asarray(value)) for name, value in tensors.items()
        }

    def conv(self, name, x, stride=1, dilation=1, groups=1):
        kernel, bias = self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        padding = dilation * (kernel.shape[-1] // 2)
        return self.f.conv2d(x, kernel, bias, stride, padding, dilation, groups)

    def norm(self, name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return self.f.batch_norm(x, *(self.tensors[f"{name}.{part}"] for part in parts))

    def unit(self, name, x, dilation=1):
        x = self.conv(f"{name}.0", x, dilation=dilation)
        return self.f.relu(self.norm(f"{name}.1", x))

    def separable(self, name, x):
        x = self.conv(f"{name}.body.0", x, groups=x.shape[1])
        return self.f.relu(self.norm(f"{name}.body.2", self.conv(f"{name}.body.1", x)))

    def bottleneck(self, name, x, stride, dilation):
        y = self.f.relu(self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x)))
        y = self.conv(f"{name}.conv2", y, stride, dilation)
        y = self.f.relu(self.norm(f"{name}.bn2", y))
        y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", y))
        if f"{name}.downsample.0.weight" in self.tensors:
            x = self.norm(f"{name}.downsample.1", self.conv(f"{name}.downsample.0", x, stride))
        return self.f.relu(x + y)

    def backbone(self, name, x):
        x = self.conv(f"{name}.conv1.0", x, 2)
        for i in (1, 4):
            x = self.conv(f"{name}.conv1.{i + 2}", self.f.relu(self.norm(f"{name}.conv1.{i}", x)))
        x = self.f.max_pool2d(self.f.relu(self.norm(f"{name}.bn1", x)), 3, 2, 1)
        found = []
        for layer, count in enumerate(self.blocks, 1):
            for i in range(count):
                stride = 2 if layer == 2 and i == 0 else 1
                dilation = {3: 2, 4: 4}.get(layer, 1)
                if i == 0 and layer > 2:
                    dilation //= 2
                x = self.bottleneck(f"{name}.layer{layer}.{i}", x, stride, dilation)
            found.append(x)
        return found[0], found[3]

    def pyramid(self, name, x):
        rates = (1, 12, 24, 36)
        branches = [self.unit(f"{name}.concurent.{i}", x, r) for i, r in enumerate(rates)]
        pooled = self.conv(f"{name}.concurent.4.gap.1", self.f.adaptive_avg_pool2d(x, 1))
        pooled = self.f.relu(self.norm(f"{name}.concurent.4.gap.2", pooled))
        branches.append(self.enlarged(pooled, x))
        return self.unit(f"{name}.project", self.torch.cat(branches, 1))

    def enlarged(self, x, like):
        return self.f.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)

    def __call__(self, image, maps):
        wide = (1, 3, 1, 1)
        image = (image - self.torch.tensor(MEAN).view(wide)) / self.torch.tensor(STD).view(wide)
        x = self.conv("rgb_conv.0", self.torch.cat([image, maps], 1))
        x = self.conv("rgb_conv.3", self.norm("rgb_conv.2", self.f.leaky_relu(x, 0.2)))
        name = "feature_extractor"
        skip, x = self.backbone(f"{name}.backbone", x)
        skip = self.unit(f"{name}.skip_project.skip_project", skip)
        x = self.enlarged(self.pyramid(f"{name}.aspp", x), skip)
        x = self.torch.cat([x, skip], 1)
        for i in range(2):
            x = self.separable(f"{name}.head.block.{i}", x)
        x = self.conv(f"{name}.head.block.2", x)
        for i in range(2):
            x = self.separable(f"head.layers.{i}", x)
        return self.enlarged(self.conv("head.layers.2", x), image)


def test_resnet101_equals_pytorch():
    torch = pytest.importorskip("torch")
    tensors = state_dict("fbrs_resnet101_dh256")
    rng = np.random.default_rng(0)
    image = rng.random((1, 64, 64, 3), np.float32)
    maps = rng.random((1, 64, 64, 2), np.float32)
    with torch.no_grad():
        channels_first = (torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in (image, maps))
        expected = Plain(torch, tensors, (3, 4, 23, 3))(*channels_first).numpy()
    net, variables = model_named("fbrs-resnet101").build(), convert("fbrs-resnet101", tensors)
    out = jax.jit(net.apply, compiler_options=QUICK)(variables, image, maps, jnp.zeros((1, 64, 64)))
    assert relative_error(out.logits[:, None], expected) < 1e-4


@pytest.fixture
def tiny(narrow, key):  # noqa: F811
    """A narrow network with weights, an image and maps."""
    a, b = jax.random.split(key)
    return (
        *fbrs_network(),
        jax.random.uniform(a, (1, 32, 40, 3)),
        jax.random.uniform(b, (1, 32, 40, 2)),
    )


def test_every_tap_leads_to_the_same_answer(tiny):
    net, variables, image, maps = tiny

    def through(net, image, maps, taps):
        tapped = [net.features_at(net.encode(image), maps, None, tap=tap) for tap in taps]
        out = [net.head(t, tap=tap) for t, tap in zip(tapped, taps, strict=True)]
        return [t.x for t in tapped], [o.logits for o in out]

    cut = jax.jit(partial(net.apply, method=through), static_argnums=3, compiler_options=QUICK)
    x, logits = cut(variables, image, maps, net.config.taps)
    assert [features.shape for features in x] == [(1, 4, 5, 8), (1, 8, 10, 36), (1, 8, 10, 4)]
    for found in logits:
        np.testing.assert_allclose(found, logits[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="tap is 'f-BRS-D', expected one of f-BRS-A, f-BRS-B"):
        cut(variables, image, maps, ("f-BRS-D",))


def test_wrong_shapes_are_named(tiny):
    net, variables, image, maps = tiny
    with pytest.raises(ValueError, match=r"image is \(32, 40, 3\), expected \(N, H, W, 3\)"):
        net.apply(variables, image[0], method="encode")
    with pytest.raises(ValueError, match=r"maps are \(1, 32, 40, 3\), expected \(1, 32, 40, 2\)"):
        net.apply(variables, jnp.zeros((1, 32, 40, 8)), image, None, method="features_at")


def test_gradients_by_image_and_maps(tiny):
    """In float64: a step that float32 can measure would turn ReLUs."""
    net, *given = tiny
    with jax.enable_x64(True):
        variables, image, maps = jax.tree.map(partial(jnp.asarray, dtype=jnp.float64), given)

        @jax.jit
        def logits(image, maps):
            return net.apply(variables, image, maps, None).logits

        check = partial(check_grads, order=1, modes=["rev"], eps=1e-6, atol=1e-6, rtol=1e-5)
        check(logits, (image, maps))
        with pytest.raises(AssertionError):  # half of the gradient is kept back
            check(lambda i, m: logits(i, (m + jax.lax.stop_gradient(m)) / 2), (image, maps))
