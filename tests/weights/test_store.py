import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ivs_jax.models import MODELS
from ivs_jax.weights.store import load_weights, save_weights, weights_path


class _Net(nn.Module):
    def example_inputs(self, side):
        size = (1, side, side)
        return jnp.zeros((*size, 3)), jnp.zeros((*size, 2)), jnp.zeros(size)

    @nn.compact
    def __call__(self, image, maps, previous):
        self.variable("batch_stats", "mean", jnp.zeros, (4,))
        gain = self.param("gain", nn.initializers.ones, ())
        return gain * nn.Dense(4, name="dense")(image)


class _Tiny:
    kind = "click"
    published = None
    refine = "BRS"

    def build(self):
        return _Net()


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", _Tiny())


@pytest.fixture
def variables():
    rng = np.random.default_rng(0)
    return {
        "params": {
            "dense": {"kernel": rng.normal(size=(3, 4)), "bias": np.array([0.1, 0, -1e-4, 3e4])},
            "gain": np.float32(0.5),
        },
        "batch_stats": {"mean": rng.normal(size=4)},
    }


@pytest.fixture
def saved(tmp_path, variables):
    path = weights_path("tiny", tmp_path)
    save_weights(path, "tiny", variables)
    return path


def _rewrite(path, change, *, model="tiny"):
    arrays = load_file(path)
    change(arrays)
    save_file(arrays, path, metadata={"model": model} if model else None)


def _refused(path, message, name="tiny"):
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(name, path=path)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(str(path))


@pytest.mark.parametrize("by", ["file", "folder"])
def test_round_trip_is_that_of_float16(saved, variables, by):
    found = load_weights("tiny", path=saved if by == "file" else saved.parent)
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(variables))
    for a, b in zip(*map(jax.tree.leaves, (found, variables)), strict=True):
        assert a.dtype == np.float32 and a.shape == np.shape(b)
        np.testing.assert_array_equal(a, np.asarray(b, np.float16).astype(np.float32))
    arrays = load_file(saved)
    assert {v.dtype for v in arrays.values()} == {np.dtype(np.float16)}
    assert sorted(arrays) == [
        "batch_stats/mean",
        "params/dense/bias",
        "params/dense/kernel",
        "params/gain",
    ]


def test_another_dtype_may_be_asked_for(tmp_path, variables):
    save_weights(tmp_path / "w.safetensors", "tiny", variables, dtype=np.float32)
    found = load_weights("tiny", path=tmp_path / "w.safetensors")
    expected = variables["params"]["dense"]["kernel"].astype(np.float32)
    np.testing.assert_array_equal(found["params"]["dense"]["kernel"], expected)


def test_saving_leaves_no_other_file_and_replaces_the_old_one(saved, variables):
    variables["batch_stats"]["mean"] = np.full(4, 2.0)
    save_weights(saved, "tiny", variables)
    assert [p.name for p in saved.parent.iterdir()] == ["tiny.safetensors"]
    np.testing.assert_array_equal(load_weights("tiny", path=saved)["batch_stats"]["mean"], 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])  # float16 ends at 65504
def test_values_that_float16_cannot_hold_are_not_saved(tmp_path, variables, value):
    variables["params"]["dense"]["bias"][1] = value
    with pytest.raises(ValueError, match=r"w\.safetensors: params/dense/bias .* float16"):
        save_weights(tmp_path / "w.safetensors", "tiny", variables)
    assert not list(tmp_path.iterdir())


def test_an_absent_file_or_folder_without_it_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"tiny\.safetensors: no weights of tiny there"):
        load_weights("tiny", path=tmp_path)
    _refused(tmp_path / "nowhere.safetensors", "no weights of tiny there")


def test_a_missing_tensor_is_named(saved):
    _rewrite(saved, lambda arrays: arrays.pop("params/dense/bias"))
    _refused(saved, "tensor params/dense/bias is missing")


def test_a_tensor_left_over_is_named(saved):
    _rewrite(saved, lambda arrays: arrays.update({"params/more": np.ones(2)}))
    _refused(saved, "tensor params/more does not belong to tiny")


def test_a_wrong_shape_is_named_with_both_shapes(saved):
    _rewrite(saved, lambda arrays: arrays.update({"batch_stats/mean": np.ones((2, 2))}))
    _refused(saved, r"batch_stats/mean is \(2, 2\), expected \(4,\)")


def test_values_that_are_not_finite_are_refused(saved):
    _rewrite(saved, lambda arrays: arrays["batch_stats/mean"].fill(np.nan))
    _refused(saved, "batch_stats/mean holds values that are not finite")


@pytest.mark.parametrize(("model", "found"), [("stm-small", "stm-small"), (None, "an unnamed")])
def test_weights_of_another_model_are_refused(saved, model, found):
    _rewrite(saved, lambda arrays: None, model=model)
    _refused(saved, f"weights of {found}.*, not tiny")


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_file_is_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    _refused(saved, "not a complete safetensors file")


def test_a_file_of_another_kind_is_refused(saved):
    saved.write_bytes(b"\x89PNG" * 100)
    _refused(saved, "not a complete safetensors file")


def test_an_unknown_model_is_refused_with_the_names(saved):
    other = saved.with_name("huge.safetensors")
    shutil.copy(saved, other)
    _rewrite(other, lambda arrays: None, model="huge")
    with pytest.raises(ValueError, match="unknown model 'huge', expected one of click-small"):
        load_weights("huge", path=other)


def test_the_default_folder_lies_in_the_package():
    path = weights_path("click-small")
    assert path.name == "click-small.safetensors"
    assert path.parts[-4:-1] == ("ivs_jax", "weights", "released")
