"""ImageNet weights land in every encoder of a network and nowhere else; wrong files are named."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import save_file

from ivs_jax.models import mobilenet, model_named, resnet, variable_shapes
from ivs_jax.training.groups import of_encoder
from ivs_jax.training.pretrained import with_imagenet
from tests.synthetic import caffe_blobs, names_and_shapes


def zeros(name):
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), variable_shapes(model_named(name)))


def flat(variables):
    return traverse_util.flatten_dict(variables, sep="/")


def check_filled(before, after):
    """All tensors of encoders have changed, no other has."""
    before, after = flat(before), flat(after)
    assert before.keys() == after.keys()
    for name, value in after.items():
        assert value.shape == before[name].shape, name
        filled = of_encoder(tuple(name.split("/")[1:]))
        assert bool(np.any(value != before[name])) == filled, name
        assert np.all(np.asarray(value).any()) == filled, name


@pytest.fixture
def narrow(monkeypatch):
    """ResNet-50 of one narrow bottleneck in each stage."""
    monkeypatch.setitem(resnet.DEPTHS, 50, (1, 1, 1, 1))
    monkeypatch.setattr(resnet, "WIDTHS", (4, 6, 8, 10))


def torchvision_resnet():
    """The narrow ResNet-50 in torchvision's names and layout, with its classifier."""
    rng, arrays = np.random.default_rng(0), {}

    def conv(name, out, inner, side):
        arrays[f"{name}.weight"] = rng.standard_normal((out, inner, side, side), np.float32)

    def norm(name, width):
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{name}.{part}"] = rng.standard_normal(width).astype(np.float32)
        arrays[f"{name}.num_batches_tracked"] = np.zeros((), np.int64)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    inner = 64
    for stage, width in enumerate((4, 6, 8, 10), 1):
        block = f"layer{stage}.0"
        for i, (out, before, side) in enumerate(
            ((width, inner, 1), (width, width, 3), (4 * width, width, 1)), 1
        ):
            conv(f"{block}.conv{i}", out, before, side)
            norm(f"{block}.bn{i}", out)
        conv(f"{block}.downsample.0", 4 * width, inner, 1)
        norm(f"{block}.downsample.1", 4 * width)
        inner = 4 * width
    arrays["fc.weight"], arrays["fc.bias"] = np.ones((1000, inner), "f4"), np.ones(1000, "f4")
    return arrays


@pytest.fixture
def torchvision_file(tmp_path, narrow):
    save_file(torchvision_resnet(), tmp_path / "resnet50.safetensors")
    return tmp_path / "resnet50.safetensors"


@pytest.mark.parametrize(
    ("network", "encoders", "last"),
    [
        ("stm-resnet50", ("memory_encoder", "query_encoder"), 3),
        ("ipn", ("interaction_encoder", "propagation_encoder"), 4),
    ],
)
def test_torchvisions_resnet_fills_both_encoders(torchvision_file, network, encoders, last):
    before, arrays = zeros(network), torchvision_resnet()
    after = with_imagenet(network, before, torchvision_file)
    check_filled(before, after)
    for name in encoders:
        params, stats = after["params"][name], after["batch_stats"][name]
        stem = arrays["conv1.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(params["stem"]["kernel"], stem)
        np.testing.assert_array_equal(stats["stem_norm"]["mean"], arrays["bn1.running_mean"])
        deep = arrays[f"layer{last}.0.conv2.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(params[f"stage{last}_0"]["conv2"]["kernel"], deep)


@pytest.mark.parametrize(
    ("network", "keys", "prefix", "some"),
    [
        (
            "fbrs-resnet50",
            "fbrs_resnet50_dh128",
            "feature_extractor.backbone.",
            ("conv1.0.weight", "bn1.weight", "layer4.2.conv3.weight"),
        ),
        (
            "fbrs-hrnet18",
            "fbrs_hrnet18_ocr64",
            "feature_extractor.",
            ("conv2.weight", "transition3.3.0.0.weight", "stage4.2.fuse_layers.0.3.0.weight"),
        ),
    ],
)
def test_the_body_of_fbrs_is_filled_from_its_classifier(tmp_path, network, keys, prefix, some):
    shapes = names_and_shapes(keys)
    arrays = {
        name.removeprefix(prefix): np.full(shape, 1 + i % 7, np.float32)
        for i, (name, shape) in enumerate(shapes.items())
        if name.startswith(prefix)
    }
    assert set(some) <= arrays.keys()
    save_file(arrays, tmp_path / "imagenet.safetensors")
    before = zeros(network)
    check_filled(before, with_imagenet(network, before, tmp_path / "imagenet.safetensors"))


def test_brs_starts_from_a_caffe_densenet_of_three_channels(tmp_path):
    # Constant values by name: zero factors of running sums would make them 0.
    arrays = {
        name: np.full(blob.shape, 1 + i % 7, np.float32)
        for i, (name, blob) in enumerate(caffe_blobs().items())
    }
    arrays["conv1/0"] = np.random.default_rng(0).random((64, 3, 7, 7), np.float32)
    save_file(arrays, tmp_path / "densenet.safetensors")
    before = zeros("brs-densenet121")
    after = with_imagenet("brs-densenet121", before, tmp_path / "densenet.safetensors")
    check_filled(before, after)
    stem = after["params"]["encoder"]["stem"]["kernel"]
    np.testing.assert_array_equal(stem, arrays["conv1/0"].transpose(2, 3, 1, 0))


@pytest.fixture
def keras_file(tmp_path, monkeypatch):
    """A MobileNet of five narrow blocks in the names of Keras."""
    monkeypatch.setattr(mobilenet, "BLOCKS", ((6, 1), (8, 2), (8, 2), (8, 2), (8, 2)))
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"conv1/kernel": np.ones((3, 3, 3, 32), "f4")}

    def norm(name, width):
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            arrays[f"{name}/{part}"] = rng.random(width, np.float32)

    norm("conv1_bn", 32)
    inner = 32
    for i, (width, _) in enumerate(mobilenet.BLOCKS, 1):
        arrays[f"conv_dw_{i}/depthwise_kernel"] = rng.random((3, 3, inner, 1), np.float32)
        norm(f"conv_dw_{i}_bn", inner)
        arrays[f"conv_pw_{i}/kernel"] = rng.random((1, 1, inner, width), np.float32)
        norm(f"conv_pw_{i}_bn", width)
        inner = width
    np.savez(tmp_path / "mobilenet.npz", **arrays)
    return tmp_path / "mobilenet.npz"


@pytest.mark.parametrize("network", ["stm-small", "ipn-small"])
def test_keras_arrays_fill_every_mobilenet(keras_file, network):
    before = zeros(network)
    check_filled(before, with_imagenet(network, before, keras_file))


def test_wrong_files_are_named(tmp_path, torchvision_file, keras_file):
    arrays = torchvision_resnet()
    del arrays["layer2.0.bn3.running_var"]
    save_file(arrays, tmp_path / "part.safetensors")
    variables = zeros("stm-resnet50")
    with pytest.raises(ValueError, match=r"part.safetensors: tensor layer2.0.bn3.running_var of"):
        with_imagenet("stm-resnet50", variables, tmp_path / "part.safetensors")
    arrays = torchvision_resnet()
    arrays["layer1.0.conv1.weight"] = arrays["layer1.0.conv1.weight"][:, :-1]
    save_file(arrays, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"layer1.0.conv1.weight \(4, 63, 1, 1\) does not give"):
        with_imagenet("stm-resnet50", variables, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="mobilenet.npz: weights of a MobileNet, but stm-resnet50"):
        with_imagenet("stm-resnet50", variables, keras_file)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="bad.npz: cannot be read as .npz"):
        with_imagenet("ipn-small", zeros("ipn-small"), tmp_path / "bad.npz")
    few: dict[str, Any] = {"conv1/kernel": np.ones((3, 3, 3, 32), "f4")}
    np.savez(tmp_path / "few.npz", **few)
    with pytest.raises(ValueError, match="few.npz: MobileNet weights: array 'conv1_bn/gamma'"):
        with_imagenet("ipn-small", zeros("ipn-small"), tmp_path / "few.npz")
