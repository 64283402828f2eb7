"""Reads published checkpoint files as plain arrays; nothing in them is ever executed."""

import hashlib
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ivs_jax.weights.caffe import read_caffemodel

NESTED = ("state_dict", "model", "net")  # where training scripts put the tensors
TORCH = (".pth", ".pt", ".pkl", ".tar", ".ckpt")


def read_checkpoints(paths: Sequence[Path], prefixes: Sequence[str]) -> dict[str, np.ndarray]:
    """Tensors of all files of one network, each name with the prefix of its file.

    Raises ValueError if there are more or fewer files than prefixes.
    """
    if len(paths) != len(prefixes):
        found = ", ".join(map(str, paths))
        raise ValueError(f"expected {len(prefixes)} checkpoint files, found {len(paths)}: {found}")
    return {
        prefix + name.removeprefix("module."): value  # of PyTorch's DataParallel
        for path, prefix in zip(paths, prefixes, strict=True)
        for name, value in read_checkpoint(path).items()
    }


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Name -> array of a `.pth` (needs PyTorch), `.safetensors` or `.caffemodel` file.

    Raises ValueError naming the file: not there, of another kind, truncated, not only tensors.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".caffemodel":
        return read_caffemodel(path)
    if path.suffix in TORCH:
        return _read_torch(path)
    legal = ", ".join((*TORCH, ".safetensors", ".caffemodel"))
    raise ValueError(f"{path}: unknown kind of checkpoint, expected one of {legal}")


def sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a complete safetensors file ({error})") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"{path}: reading it needs PyTorch, which is not there: pip install 'ivs_jax[torch]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old storage classes, in every old file
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{path}: not a PyTorch file of tensors alone; other objects in it are not loaded, "
            f"because that would run code from the file ({str(error).splitlines()[0]})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: not a complete PyTorch file ({reason})") from error
    tensors = {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in _state_dict(content).items()
        if isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise ValueError(f"{path}: no tensors in it, expected a state dict")
    return tensors


def _state_dict(content: Any) -> Mapping[str, Any]:
    """The innermost mapping that holds the tensors; empty where there is none."""
    while isinstance(content, Mapping):
        inner = [content[key] for key in NESTED if isinstance(content.get(key), Mapping)]
        if not inner:
            return content
        content = inner[0]
    return {}
