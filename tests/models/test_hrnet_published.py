"""Parity of HRNet with OCR with stored outputs, and with PyTorch modules of our own.

Those are written from experiments/papers/brs.md, section B3.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from ivs_jax.models import model_named
from ivs_jax.weights.convert import convert
from tests.synthetic import (
    GOLDENS,
    MEAN,
    STD,
    names_and_shapes,
    relative_error,
    state_dict,
    tensor,
)

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
Module: Any = nn.Module

SIZE = (56, 72)  # 14 x 18, 7 x 9, 4 x 5 and 2 x 3 in the branches
QUICK = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
TOLERANCE = 1e-4
enlarge = partial(functional.interpolate, mode="bilinear", align_corners=True)


def unit(inputs, outputs, kernel=3, stride=1, *, bias=False, act=True):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if act else []))


class Residual(Module):
    """Basic block for two widths, bottleneck for three; its last width is that of the sum."""

    def __init__(self, inputs, kernels, widths):
        super().__init__()
        self.count = len(kernels)
        sides = [inputs, *widths]
        for i, kernel in enumerate(kernels):
            conv = nn.Conv2d(sides[i], sides[i + 1], kernel, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(sides[i + 1]))
        if inputs != widths[-1]:
            self.downsample = unit(inputs, widths[-1], 1, act=False)

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = y.relu() if i < self.count else y
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class Fusion(Module):
    def __init__(self, widths, blocks):
        super().__init__()
        basic = [
            nn.Sequential(*(Residual(w, (3, 3), (w, w)) for _ in range(blocks))) for w in widths
        ]
        self.branches = nn.ModuleList(basic)
        self.fuse_layers = nn.ModuleDict()
        for i, to in enumerate(widths):
            paths = {}
            for j, width in enumerate(widths):
                if j > i:
                    paths[str(j)] = unit(width, to, 1, act=False)
                if j < i:
                    halvings = [unit(width, width, 3, 2) for _ in range(i - j - 1)]
                    paths[str(j)] = nn.Sequential(*halvings, unit(width, to, 3, 2, act=False))
            self.fuse_layers[str(i)] = nn.ModuleDict(paths)

    def forward(self, x):
        x = [branch(features) for branch, features in zip(self.branches, x, strict=True)]
        out = []
        for i, total in enumerate(x):
            for j, features in enumerate(x):
                if j != i:
                    y = self.fuse_layers[str(i)][str(j)](features)
                    total = total + (enlarge(y, x[i].shape[2:]) if j > i else y)
            out.append(total.relu())
        return out


class Block(Module):
    """The object context block: what each pixel takes from the regions."""

    def __init__(self, width):
        super().__init__()
        double = 2 * width
        self.f_pixel = nn.Sequential(*self.pair(double, width), *self.pair(width, width))
        self.f_object = nn.Sequential(*self.pair(double, width), *self.pair(width, width))
        self.f_down = nn.Sequential(*self.pair(double, width))
        self.f_up = nn.Sequential(*self.pair(width, double))

    def pair(self, inputs, outputs):
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        return conv, nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x, regions):
        query = self.f_pixel(x).flatten(2).transpose(1, 2)
        key, value = self.f_object(regions).flatten(2), self.f_down(regions).flatten(2)
        weights = (query @ key / query.shape[-1] ** 0.5).softmax(-1)
        context = (weights @ value.transpose(1, 2)).transpose(1, 2)
        return self.f_up(context.reshape(*context.shape[:2], *x.shape[2:]))


class Distribution(Module):
    def __init__(self, width):
        super().__init__()
        self.object_context_block = Block(width)
        last = nn.Sequential(nn.BatchNorm2d(2 * width), nn.ReLU())
        self.conv_bn_dropout = nn.Sequential(nn.Conv2d(4 * width, 2 * width, 1, bias=False), last)

    def forward(self, x, regions):
        return self.conv_bn_dropout(torch.cat([self.object_context_block(x, regions), x], 1))


class Extractor(Module):
    def __init__(self, width, ocr, blocks, modules):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        inputs = [64] + [256] * (blocks - 1)
        self.layer1 = nn.Sequential(*(Residual(i, (1, 3, 1), (64, 64, 256)) for i in inputs))
        halved = nn.Sequential(unit(256, widths[1], 3, 2))
        self.transition1 = nn.ModuleList([unit(256, widths[0]), halved])
        self.transition2 = nn.ModuleDict({"2": nn.Sequential(unit(widths[1], widths[2], 3, 2))})
        self.transition3 = nn.ModuleDict({"3": nn.Sequential(unit(widths[2], widths[3], 3, 2))})
        stages = [
            nn.Sequential(*(Fusion(widths[:n], blocks) for _ in range(count)))
            for n, count in zip((2, 3, 4), modules, strict=True)
        ]
        self.stage2, self.stage3, self.stage4 = stages
        total = sum(widths)
        self.conv3x3_ocr = unit(total, 2 * ocr, bias=True)
        self.ocr_distri_head = Distribution(ocr)
        self.cls_head = nn.Conv2d(2 * ocr, 1, 1)
        self.aux_head = nn.Sequential(*unit(total, total, 1, bias=True), nn.Conv2d(total, 1, 1))

    def forward(self, x, clicks=None):
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x if clicks is None else x + clicks)).relu()
        x = self.layer1(x)
        branches = self.stage2([self.transition1[0](x), self.transition1[1](x)])
        branches = self.stage3([*branches, self.transition2["2"](branches[-1])])
        branches = self.stage4([*branches, self.transition3["3"](branches[-1])])
        x = torch.cat([enlarge(b, branches[0].shape[2:]) for b in branches], 1)
        auxiliary, x = self.aux_head(x), self.conv3x3_ocr(x)
        weights = auxiliary.flatten(2).softmax(-1)
        regions = (x.flatten(2) @ weights.transpose(1, 2))[..., None]
        return self.cls_head(self.ocr_distri_head(x, regions)), auxiliary


class Published(Module):
    """What both papers share: normalised RGB, logits at the size of the image."""

    def __init__(self, *sizes):
        super().__init__()
        self.feature_extractor = Extractor(*sizes)

    def forward(self, image, maps, previous):
        mean, std = (torch.tensor(v)[None, :, None, None] for v in (MEAN, STD))
        outputs = self.inner((image - mean) / std, maps, previous)
        return [enlarge(x, image.shape[2:])[:, 0] for x in outputs]


class PublishedFBRS(Published):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        mix = nn.Conv2d(5, 8, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1)
        self.rgb_conv = nn.Sequential(*mix)

    def inner(self, rgb, maps, previous):
        return self.feature_extractor(self.rgb_conv(torch.cat([rgb, maps], 1)))


class Scale(Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x * self.scale.abs()


class PublishedRITM(Published):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        mix = nn.Conv2d(3, 16, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 64, 3, 2, 1), Scale()
        self.maps_transform = nn.Sequential(*mix)

    def inner(self, rgb, maps, previous):
        clicks = self.maps_transform(torch.cat([previous[:, None], maps], 1))
        return self.feature_extractor(rgb, clicks)


FULL, SMALL = (4, (1, 4, 3)), (2, (1, 3, 2))
NETWORKS = {
    "fbrs-hrnet32": (PublishedFBRS, 32, 128, *FULL),
    "ritm-hrnet18s": (PublishedRITM, 18, 48, *SMALL),
    "ritm-hrnet18": (PublishedRITM, 18, 64, *FULL),
}


def published(name):
    make, *sizes = NETWORKS[name]
    with torch.device("meta"):
        return make(*sizes).eval()


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    image, maps = rng.random((2, *SIZE, 3)), rng.random((2, *SIZE, 2))
    return [v.astype(np.float32) for v in (image, maps, rng.random((2, *SIZE)))]


def run(name, variables, *inputs):
    return jax.jit(model_named(name).build().apply, compiler_options=QUICK)(variables, *inputs)


def test_stored_logits():
    stored, arrays = np.load(GOLDENS / "fbrs_hrnet18_ocr64.npz"), state_dict("fbrs_hrnet18_ocr64")
    image, maps = stored["image"].transpose(1, 2, 0)[None], stored["distance_maps"]
    given = image, maps.transpose(0, 2, 3, 1), np.zeros(image.shape[:3], np.float32)
    variables = convert("fbrs-hrnet18", arrays)
    found = run("fbrs-hrnet18", variables, *given)
    assert relative_error(found.logits[:, None], stored["logits"]) < TOLERANCE
    # What no output shows, see `OCR`.
    for ours, theirs in (("pixel", "f_pixel"), ("region", "f_object")):
        for i in range(2):
            name = f"feature_extractor.ocr_distri_head.object_context_block.{theirs}.{2 * i}.weight"
            kernel = variables["params"]["body"]["ocr"][f"{ours}_{i}"]["conv"]["kernel"]
            np.testing.assert_array_equal(kernel[0, 0].T, arrays[name][..., 0, 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_a_module_written_from_the_spec(name, inputs):
    reference = published(name)
    arrays = {key: tensor(key, value.shape) for key, value in reference.state_dict().items()}
    if "maps_transform.3.scale" in arrays:
        arrays["maps_transform.3.scale"] *= -1  # its sign has no meaning
    state = {key: torch.from_numpy(value) for key, value in arrays.items()}
    reference.load_state_dict(state, assign=True)
    image, maps = (torch.from_numpy(v.transpose(0, 3, 1, 2)) for v in inputs[:2])
    with torch.inference_mode():
        logits, auxiliary = reference(image, maps, torch.from_numpy(inputs[2]))
    found = run(name, convert(name, arrays), *inputs)
    assert relative_error(found.logits, logits.numpy()) < TOLERANCE
    assert relative_error(found.coarse, auxiliary.numpy()) < TOLERANCE


@pytest.mark.parametrize("keys", ["hrnet18_ocr64", "hrnet32_ocr128", "hrnet48_ocr128"])
def test_the_module_has_the_published_names_and_shapes(keys):
    width, ocr = (int(part.strip("hrnetoc")) for part in keys.split("_"))
    with torch.device("meta"):
        found = PublishedFBRS(width, ocr, *FULL).state_dict()
    expected = names_and_shapes(f"fbrs_{keys}")
    assert {key: tuple(value.shape) for key, value in found.items()} == expected


def test_every_width_fits_its_table():
    """W48 is too large to run here; its tensors fit all the same."""
    names = names_and_shapes("fbrs_hrnet48_ocr128")
    arrays = {key: np.zeros(shape, np.float32) for key, shape in names.items()}
    assert convert("fbrs-hrnet48", arrays)["params"]["body"]["ocr"]["predict"]["bias"].shape == (1,)
    del arrays["feature_extractor.stage4.1.fuse_layers.3.0.1.0.weight"]
    with pytest.raises(ValueError, match="stage4.1.fuse_layers.3.0.1.0.weight is missing"):
        convert("fbrs-hrnet48", arrays)
