"""Checkpoint files: the good ones are read, the bad ones named, and nothing in them is run."""

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from ivs_jax.weights.checkpoint import read_checkpoint, read_checkpoints, sha256

ARRAYS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2, "f4")}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the extra `torch` is not installed")


def same(found, expected=ARRAYS):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_safetensors(tmp_path):
    save_file(ARRAYS, tmp_path / "x.safetensors")
    same(read_checkpoint(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("zipped", [True, False])  # since PyTorch 1.6, and before
@pytest.mark.parametrize("nest", [lambda d: d, lambda d: {"state_dict": d, "config": {"a": 1}}])
def test_pytorch_files_old_and_new_bare_and_nested(tmp_path, torch, zipped, nest):
    tensors = {name: torch.from_numpy(value) for name, value in ARRAYS.items()}
    torch.save(nest(tensors), tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    same(read_checkpoint(tmp_path / "x.pth"))


def test_half_precision_is_read_as_float32(tmp_path, torch):
    torch.save({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "x.pth")
    same(read_checkpoint(tmp_path / "x.pth"), {"a": np.ones(2, np.float32)})


def test_prefixes_are_put_on_and_data_parallels_taken_off(tmp_path):
    for name in "ab":
        save_file({"module.w": np.ones(1)}, tmp_path / f"{name}.safetensors")
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    assert sorted(read_checkpoints(paths, ("I.", "P."))) == ["I.w", "P.w"]
    with pytest.raises(ValueError, match="expected 1 checkpoint files, found 2: .*b.safetensors"):
        read_checkpoints(paths, ("",))


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def test_an_absent_file_is_named(tmp_path):
    refused(tmp_path / "x.pth", "no such file")


def test_an_unknown_kind_is_named(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"1")
    refused(tmp_path / "x.onnx", r"unknown kind of checkpoint, expected one of \.pth")


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_truncated_files_are_refused(tmp_path, torch, keep):
    path = tmp_path / "x.pth"
    torch.save({name: torch.from_numpy(value) for name, value in ARRAYS.items()}, path)
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "not a (complete )?PyTorch file")
    save_file(ARRAYS, path.with_suffix(".safetensors"))
    content = path.with_suffix(".safetensors").read_bytes()
    path.with_suffix(".safetensors").write_bytes(content[:keep])
    refused(path.with_suffix(".safetensors"), "not a complete safetensors file")


class Harmful:
    def __reduce__(self):
        return pytest.fail, ("code from a checkpoint was run",)


def test_code_in_a_file_is_not_run(tmp_path, torch):
    torch.save({"a": torch.ones(1), "b": Harmful()}, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "other objects in it are not loaded")
    (tmp_path / "y.pth").write_bytes(pickle.dumps({"a": Harmful()}))
    refused(tmp_path / "y.pth", "not a ")


def test_a_file_without_tensors_is_refused(tmp_path, torch):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "no tensors in it")
    torch.save([1, 2], tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "no tensors in it")


def test_without_pytorch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "x.pth").write_bytes(b"1")
    refused(tmp_path / "x.pth", r"pip install 'ivs_jax\[torch\]'")


def test_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")
