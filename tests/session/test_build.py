"""Names and weights files -> networks; what does not fit together is an error."""

import jax
import numpy as np
import pytest

from ivs_jax.models import MODELS, Model, Published
from ivs_jax.session.build import load_interactor, load_propagator, network_names
from ivs_jax.weights.store import check_used, find_weights, released_folder, save_weights
from tests import tiny as networks
from tests.tiny import tiny  # noqa: F401


@pytest.fixture
def given(tmp_path, monkeypatch, tiny, key):  # noqa: F811
    """Registers a tiny network of each kind; the folder of their weights."""
    published = Published("tiny.pth", "someone/tiny", "MIT")
    monkeypatch.setitem(MODELS, "click-tiny", Model("click", networks.CLICK))
    monkeypatch.setitem(MODELS, "stm-tiny", Model("propagation", networks.STM, published))
    for name, (_, variables) in (
        ("click-tiny", networks.click_network(key)),
        ("stm-tiny", networks.stm_network(key)),
    ):
        save_weights(tmp_path / f"{name}.safetensors", name, variables, dtype=np.float32)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, ("click-small", "stm-small")),
        ({"model": "click-small"}, ("click-small", "stm-small")),
        ({"model": "stm-resnet50"}, ("click-small", "stm-resnet50")),
        ({"model": "ipn"}, ("ipn", "ipn")),
        ({"model": "ipn", "propagation": "stm-small"}, ("ipn", "stm-small")),
        ({"model": "ipn", "interaction": "click-small"}, ("click-small", "ipn")),
        ({"model": "click-small", "propagation": "ipn"}, ("click-small", "ipn")),
        ({"model": "stm-resnet50", "interaction": "ipn"}, ("ipn", "stm-resnet50")),
        ({"model": "stm-small", "propagation": "stm-small"}, ("click-small", "stm-small")),
        ({"interaction": "ipn-small", "propagation": "stm-small"}, ("ipn-small", "stm-small")),
        ({"interaction": "ipn-small"}, ("ipn-small", "stm-small")),
        ({"propagation": "ipn-small"}, ("click-small", "ipn-small")),
    ],
)
def test_a_model_takes_the_roles_that_are_left_to_it(named, expected):
    assert network_names(**named) == expected


@pytest.mark.parametrize(
    ("named", "roles"),
    [
        (("stm-resnet50", None, "stm-small"), "click-small answers clicks and stm-small prop"),
        (("ritm-hrnet18", "click-small", None), "click-small answers clicks and stm-small"),
        (("ipn", "click-small", "stm-small"), "click-small answers clicks and stm-small"),
    ],
)
def test_a_model_without_a_role_is_refused(named, roles):
    with pytest.raises(ValueError, match=f"model {named[0]} has nothing to do: {roles}"):
        network_names(*named)


def test_a_file_serves_its_model_and_the_others_keep_the_released_weights(given):
    file = given / "stm-tiny.safetensors"
    assert find_weights("stm-tiny", [file]) == file
    assert find_weights("click-small", [file]).parent == released_folder()


def test_a_folder_serves_all(given):
    assert find_weights("click-tiny", [given]) == given / "click-tiny.safetensors"
    with pytest.raises(ValueError, match="click-small.safetensors: no weights of click-small"):
        find_weights("click-small", [given])


def test_a_file_that_no_network_uses_is_refused(given):
    with pytest.raises(ValueError, match="weights of stm-tiny, not of click-small and stm-small"):
        check_used([given / "stm-tiny.safetensors"], ["click-small", "stm-small"])


def test_a_published_network_without_weights_says_how_to_get_them():
    with pytest.raises(ValueError, match="STM_weights.pth; .* with ivs convert stm-resnet50"):
        load_propagator("stm-resnet50")


def test_networks_are_loaded_once(given):
    first = load_interactor("click-tiny", refine="NoBRS", weights=given)
    assert load_interactor("click-tiny", refine="NoBRS", weights=[given]) is first
    assert load_interactor("click-tiny", refine="BRS", weights=given) is not first
    assert load_propagator("stm-tiny", weights=given) is load_propagator("stm-tiny", weights=given)


def test_a_network_of_another_kind_is_refused(given):
    with pytest.raises(ValueError, match="unknown click model 'stm-tiny'"):
        load_interactor("stm-tiny", weights=given)
    with pytest.raises(ValueError, match="unknown propagation model 'click-tiny'"):
        load_propagator("click-tiny", weights=given)


def test_weights_are_those_of_the_file(given, key):
    _, expected = networks.click_network(key)
    found = load_interactor("click-tiny", weights=given)
    jax.tree.map(np.testing.assert_array_equal, found.variables, expected)
