"""Conversion on a small network: what fits is converted, what does not is named."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models import MODELS, NETWORKS, Model, Published
from ivs_jax.models.layers import Conv, Depthwise, FrozenBatchNorm
from ivs_jax.weights import tables
from ivs_jax.weights.convert import convert
from ivs_jax.weights.table import Entry, conv, norm, table


class Config:
    """Type of the small network's config."""


class Net(nn.Module):
    config: Config

    def example_inputs(self, side):
        return (jnp.zeros((1, side, side, 3)),)

    @nn.compact
    def __call__(self, x):
        x = Conv(4, (3, 3), name="first")(x)
        x = FrozenBatchNorm(name="norm")(x)
        return nn.Dense(2, name="last")(Depthwise(name="each")(x))


def small_table():
    return table(
        conv("first", "net.a", "net.b", bias=True),
        norm("norm", "net.bn"),
        conv("each", "net.each", layout="depthwise"),
        iter([Entry("params/last/kernel", ("net.last.weight",), "dense")]),
        iter([Entry("params/last/bias", ("net.last.bias",))]),
        constants={"net.mean": np.array([0.5], np.float32)},
        ignored=[r"^dropout$"],
    )


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(NETWORKS, Config, Net)
    monkeypatch.setitem(
        MODELS, "small", Model("click", Config(), Published("small.pth", "someone/small", "MIT"))
    )
    monkeypatch.setitem(tables.TABLES, "small", small_table)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = {
        "net.a.weight": (4, 2, 3, 3),
        "net.a.bias": (4,),
        "net.b.weight": (4, 1, 3, 3),
        "net.bn.weight": (4,),
        "net.bn.bias": (4,),
        "net.bn.running_mean": (4,),
        "net.bn.running_var": (4,),
        "net.each.weight": (4, 1, 3, 3),
        "net.last.weight": (2, 4),
        "net.last.bias": (2,),
    }
    found = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    return found | {"net.mean": np.array([0.5]), "net.bn.num_batches_tracked": np.array(7)}


def plain_forward(arrays, x):
    """The published network, pixel by pixel and channels first."""
    kernel = np.concatenate([arrays["net.a.weight"], arrays["net.b.weight"]], 1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.zeros((4, *x.shape[1:]))
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            patch = padded[:, i : i + 3, j : j + 3]
            y[:, i, j] = (kernel * patch).sum((1, 2, 3)) + arrays["net.a.bias"]
    scale = arrays["net.bn.weight"] / np.sqrt(arrays["net.bn.running_var"] + 1e-5)
    y = (y - arrays["net.bn.running_mean"][:, None, None]) * scale[:, None, None]
    y += arrays["net.bn.bias"][:, None, None]
    padded, z = np.pad(y, ((0, 0), (1, 1), (1, 1))), np.zeros_like(y)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            z[:, i, j] = (arrays["net.each.weight"][:, 0] * padded[:, i : i + 3, j : j + 3]).sum(
                (1, 2)
            )
    bias = arrays["net.last.bias"][:, None, None]
    return np.einsum("oc,chw->ohw", arrays["net.last.weight"], z) + bias


def test_the_converted_network_computes_the_same(arrays):
    x = np.random.default_rng(1).random((3, 5, 6))
    variables = convert("small", arrays)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    image = jnp.asarray(x.transpose(1, 2, 0), jnp.float32)[None]
    found = jax.jit(MODELS["small"].build().apply)(variables, image)[0]
    expected = plain_forward(arrays, x).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def refused(arrays, message, name="small"):
    with pytest.raises(ValueError, match=message) as caught:
        convert(name, arrays)
    assert "\n" not in str(caught.value)


def test_a_missing_tensor_is_named(arrays):
    del arrays["net.bn.running_var"]
    refused(arrays, r"^not small: tensor net\.bn\.running_var is missing$")


def test_several_missing_tensors_are_counted(arrays):
    del arrays["net.b.weight"], arrays["net.last.bias"], arrays["net.a.bias"]
    refused(arrays, r"tensor net\.a\.bias is missing, and 2 more$")


def test_a_tensor_left_over_is_named(arrays):
    refused(arrays | {"net.more": np.ones(2)}, r"tensor net\.more is left over$")


def test_known_optional_tensors_may_be_there_or_not(arrays):
    expected = convert("small", arrays)
    del arrays["net.mean"], arrays["net.bn.num_batches_tracked"]
    found = convert("small", arrays | {"dropout": np.array(0.2)})
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_constant_with_another_value_is_refused(arrays):
    refused(arrays | {"net.mean": np.array([0.4])}, r"net\.mean is \[0\.4\], expected \[0\.5\]")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("net.a.weight", (4, 2, 5, 3)), ("net.last.weight", (4, 2)), ("net.each.weight", (4, 9))],
)
def test_a_wrong_shape_is_named_with_both_shapes(arrays, name, shape):
    message = f"tensor {name}.* is .*{shape}.* does not give params/".replace("(", r"\(")
    refused(arrays | {name: np.ones(shape)}, message.replace(")", r"\)"))


def test_values_that_are_not_finite_are_refused(arrays):
    arrays["net.bn.bias"][2] = np.nan
    refused(arrays, r"tensor net\.bn\.bias holds values that are not finite")


def test_a_file_of_another_network_is_recognised(arrays):
    refused(
        arrays,
        r"^not stm-resnet50: tensor .* is missing, and .*; it looks like small$",
        "stm-resnet50",
    )


@pytest.mark.parametrize("name", ["click-small", "huge"])
def test_a_network_without_published_checkpoint_is_refused_with_the_names(name):
    refused({}, f"'{name}' has no published checkpoint; those that have: .*stm-resnet50", name)


def test_a_table_that_does_not_fit_its_network_is_found(arrays, monkeypatch):
    monkeypatch.setitem(tables.TABLES, "small", lambda: table(conv("first", "net.a")))
    refused({"net.a.weight": arrays["net.a.weight"]}, "the table of small does not fit")
