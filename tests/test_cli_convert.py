"""`ivs convert` and `ivs info --models` as a user meets them, on a small network."""

import json
import re
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from ivs_jax.cli import main
from ivs_jax.weights.store import load_weights
from tests.weights.test_convert import arrays, small  # noqa: F401


@pytest.fixture
def checkpoint(tmp_path, arrays):  # noqa: F811
    path = tmp_path / "small-epoch-1.safetensors"
    save_file({f"module.{name}": value for name, value in arrays.items()}, path)
    return path


def header(path):
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))["__metadata__"]


def test_a_converted_file_carries_name_hash_and_licence(tmp_path, checkpoint, arrays, capsys):  # noqa: F811
    out = tmp_path / "out.safetensors"
    assert main(["convert", "small", str(checkpoint), "-o", str(out)]) == 0
    found = header(out)
    assert found["model"] == "small" and found["licence"] == "MIT"
    assert found["source"] == "small-epoch-1.safetensors" and len(found["sha256"]) == 64
    kernel = load_weights("small", path=out)["params"]["last"]["kernel"]
    np.testing.assert_array_equal(kernel, arrays["net.last.weight"].T)
    assert "someone/small" in capsys.readouterr().out


def test_pytorch_files_are_read(tmp_path, arrays, monkeypatch):  # noqa: F811
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    monkeypatch.chdir(tmp_path)
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, "small.pth")
    assert main(["convert", "small", "small.pth"]) == 0
    assert (tmp_path / "small.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small", "nowhere.pth"], "nowhere.pth: no such file"),
        (["huge", "nowhere.pth"], "'huge' has no published checkpoint"),
        (
            ["stm-resnet50", "{file}"],
            "small-epoch-1.*: not stm-resnet50: tensor .* small",
        ),
        (["small", "{file}", "-o", "x.npz"], "x.npz: expected a name that ends in .safetensors"),
        (["small", "{file}", "{file}"], "expected 1 checkpoint files, found 2"),
    ],
)
def test_what_cannot_be_converted_is_one_line(checkpoint, capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)
    assert main(["convert", *(a.format(file=checkpoint) for a in arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ivs: error: ")
    assert re.search(message, lines[0]), lines[0]
    assert sorted(p.name for p in checkpoint.parent.iterdir()) == [checkpoint.name]


def test_networks_are_listed(capsys, monkeypatch):
    from ivs_jax.models import MODELS

    for name in [name for name in MODELS if name not in ("click-small", "small")]:
        monkeypatch.delitem(MODELS, name)
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["info", "--models"]) == 0
    table = capsys.readouterr().out
    assert "click-small" in table and "3.1 M" in table and "MIT" in table
