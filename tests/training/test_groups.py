"""Learning-rate groups of the networks that are really trained; only shapes are computed."""

import functools

import numpy as np
import pytest
from flax import traverse_util

from ivs_jax.models import MODELS, variable_shapes
from ivs_jax.training.click import ClickTask
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.optimiser import FROZEN
from ivs_jax.training.stm import STMTask

MAKERS = {"click": ClickTask, "propagation": STMTask, "both": IPNTask}
SMALL = ("click-small", "stm-small", "ipn-small")
STILL_NORMS = ("stm-resnet50", "ipn")
MOVING_NORMS = ("brs-densenet121", "fbrs-resnet50", "fbrs-hrnet18", "ritm-hrnet18s")


@functools.cache
def grouped(name):
    """Path -> (group, number of values) of a network's parameters."""
    task = MAKERS[MODELS[name].kind](name)
    flat = traverse_util.flatten_dict(variable_shapes(MODELS[name])["params"])
    groups = {path: (task.group(path), int(np.prod(x.shape))) for path, x in flat.items()}
    assert {group for group, _ in groups.values()} <= {*task.groups, FROZEN}
    return groups


def paths(name, group):
    return {path for path, (found, _) in grouped(name).items() if found == group}


def count(name, group):
    return sum(size for found, size in grouped(name).values() if found == group)


@pytest.mark.parametrize("name", SMALL)
def test_of_a_mobilenet_only_pointwise_kernels_and_the_stem_are_trained(name):
    assert {path[-2:] for path in paths(name, "encoder")} == {
        ("stem", "kernel"),
        ("pointwise", "kernel"),
    }
    frozen = paths(name, FROZEN)
    assert all("encoder" in path[0] for path in frozen)
    assert {path[-2] for path in frozen} == {
        "depthwise",
        "stem_norm",
        "depthwise_norm",
        "pointwise_norm",
    }
    assert 0 < count(name, FROZEN) < 0.03 * count(name, "encoder")


@pytest.mark.parametrize("name", STILL_NORMS)
def test_norms_of_the_encoders_of_stm_and_ipn_stand_still(name):
    assert {path[-1] for path in paths(name, "encoder")} == {"kernel"}
    assert {path[-1] for path in paths(name, FROZEN)} == {"scale", "bias"}
    norms = {"stem_norm", "norm1", "norm2", "norm3", "downsample_norm"}
    assert {path[-2] for path in paths(name, FROZEN)} == norms


@pytest.mark.parametrize("name", MOVING_NORMS)
def test_norms_of_the_click_networks_are_trained(name):
    assert not paths(name, FROZEN)
    assert any(path[-1] == "scale" for path in paths(name, "encoder"))


@pytest.mark.parametrize("name", (*SMALL, *STILL_NORMS, *MOVING_NORMS))
def test_new_inputs_and_decoders_are_no_encoder(name):
    tops = {path[0] if path[0] != "body" else path[1] for path in paths(name, "decoder")}
    extra = {path for path in grouped(name) if "stem_extra" in path}
    assert extra <= paths(name, "decoder")
    expected = {
        "click-small": {"fine", "first_gate", "stages_0", "predict_coarse"},
        "stm-small": {"decoder", "query_kv", "mask_value"},
        "ipn-small": {"interaction_narrow", "propagation_decoder", "aggregation"},
        "stm-resnet50": {"decoder", "memory_kv", "query_kv"},
        "ipn": {"interaction_decoder", "propagation_decoder", "aggregation"},
        "brs-densenet121": {"enlarge", "first_gate", "stages_0", "predict_coarse"},
        "fbrs-resnet50": {"mix_maps", "mix_image", "pyramid", "skip", "decode_0", "classify_0"},
        "fbrs-hrnet18": {"mix_maps", "mix_image", "ocr"},
        "ritm-hrnet18s": {"mix", "mix_stem", "mix_scale", "ocr"},
    }
    assert expected[name] <= tops


@pytest.mark.parametrize(
    ("name", "millions"),  # what ImageNet weights fill: trunks without their classifiers
    [
        ("stm-resnet50", 2 * 8.54),
        ("ipn", 2 * 23.51),
        ("brs-densenet121", 6.95),
        ("fbrs-resnet50", 23.63),
        ("fbrs-hrnet18", 9.56),
    ],
)
def test_the_encoder_is_the_whole_trunk(name, millions):
    found = (count(name, "encoder") + count(name, FROZEN)) / 1e6
    assert found == pytest.approx(millions, abs=0.02)


def test_the_fine_decoder_of_brs_has_a_rate_of_its_own():
    assert {path[0] for path in paths("brs-densenet121", "fine")} == {"fine"}
    assert not paths("click-small", "fine")


def test_ipn_small_is_small():
    total = sum(count("ipn-small", group) for group in ("encoder", "decoder", FROZEN))
    assert total < 8e6


def test_blocks_that_stand_still_are_frozen_from_the_image_on():
    task = STMTask("stm-small", frozen_blocks=2)
    for layer, group in (("stem", FROZEN), ("blocks_1", FROZEN), ("blocks_2", "encoder")):
        path = ("query_encoder", layer, *(() if layer == "stem" else ("pointwise",)), "kernel")
        assert path in grouped("stm-small") and task.group(path) == group
    assert task.group(("decoder", "convFM", "kernel")) == "decoder"
