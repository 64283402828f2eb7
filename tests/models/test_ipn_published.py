"""IPN with rule-filled weights against outputs of the official PyTorch networks."""

from functools import partial

import jax
import numpy as np
import pytest

from ivs_jax.models import model_named
from ivs_jax.ops.warp import warp
from ivs_jax.training.losses import scales_cross_entropy, scribble_mask
from ivs_jax.weights.convert import convert, table_of
from tests.synthetic import GOLDENS, names_and_shapes, relative_error, state_dict, tensor

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def goldens():
    """Stored arrays, channels last."""
    with np.load(GOLDENS / "ipn.npz") as stored:
        return {k: np.moveaxis(v, 1, -1) if v.ndim == 4 else v for k, v in stored.items()}


@pytest.fixture(scope="module")
def variables():
    """Both checkpoints through the converter: 190 million parameters, so only once."""
    arrays = {f"{net}.{k}": v for net in "IP" for k, v in state_dict("ipn", net).items()}
    return convert("ipn", arrays)


@pytest.fixture(scope="module")
def outputs(variables, goldens):
    """All that is stored, computed from the same inputs."""
    net, window = model_named("ipn").build(), model_named("ipn").config.window
    on_device = jax.device_put(variables)

    def method(name):
        return jax.jit(partial(net.apply, on_device, method=name))

    interact, aggregate, propagate = (method(m) for m in ("interact", "aggregate", "propagate"))

    @jax.jit
    def loss(found):
        truth = warp(goldens["target"][..., None], found.box, window)[..., 0]
        return scales_cross_entropy(found.logits, truth)

    first, second = goldens["frames"][:1], goldens["frames"][1:]
    mask, positive, negative = (goldens[k] for k in ("mask", "positive", "negative"))
    mask_of_scribbles = scribble_mask(positive, negative)
    weight = mask_of_scribbles / (mask_of_scribbles.mean() + 0.001)  # as in the official code
    out = {}
    for name, before in (("interaction", mask), ("first_round", np.zeros_like(mask))):
        found = interact(first, before, positive, negative)
        out[f"{name}_probability"] = found.probability
        out[f"{name}_reference"] = found.features
        out[f"{name}_loss"] = weight * loss(found)
    joined = aggregate(out["interaction_reference"], out["first_round_reference"])
    out["aggregated_reference"] = joined
    alone = aggregate(out["interaction_reference"], None)
    for name, reference in (("propagation", alone), ("second_round", joined)):
        found = propagate(reference, second, mask, mask)
        out[f"{name}_probability"], out[f"{name}_loss"] = found.probability, loss(found)
    return {name: np.asarray(value) for name, value in out.items()}


STORED = (
    "interaction_probability",
    "interaction_reference",
    "interaction_loss",
    "first_round_probability",
    "first_round_reference",
    "first_round_loss",
    "aggregated_reference",
    "propagation_probability",
    "propagation_loss",
    "second_round_probability",
    "second_round_loss",
)


def test_nothing_stored_is_left_out(goldens):
    inputs = {"frames", "mask", "positive", "negative", "target"}
    assert goldens.keys() - inputs == set(STORED)


@pytest.mark.parametrize("name", STORED)
def test_outputs_equal_those_of_the_official_networks(outputs, goldens, name):
    assert relative_error(outputs[name], goldens[name]) <= TOLERANCE


def test_parameters_are_counted_as_published(variables):
    counts = {
        net: sum(
            leaf.size
            for key, part in variables["params"].items()
            if key.startswith(net)
            for leaf in jax.tree.leaves(part)
        )
        for net in ("interaction", "propagation", "aggregation")
    }
    assert counts["interaction"] == 46_543_432
    assert counts["propagation"] + counts["aggregation"] == 143_542_792


def small_arrays():
    """Both checkpoints with every tensor, zeros for the large ones."""
    return {
        f"{net}.{key}": tensor(key, shape) if np.prod(shape) < 1e5 else np.zeros(shape, np.float32)
        for net in "IP"
        for key, shape in names_and_shapes("ipn", net).items()
    }


def test_two_files_make_the_network():
    assert table_of("ipn").prefixes == ("I.", "P.")


def test_a_wrong_checkpoint_is_named():
    arrays = small_arrays()
    only = {key: value for key, value in arrays.items() if key.startswith("I.")}
    with pytest.raises(ValueError, match=r"not ipn: tensor P\..* is missing"):
        convert("ipn", only)
    arrays["P.Encoder.mean"] = arrays["P.Encoder.mean"] + 0.1
    with pytest.raises(ValueError, match=r"P.Encoder.mean is .*expected \[0.485"):
        convert("ipn", arrays)
