"""Weights files: one `.safetensors` a network, checked against the network at load.

Arrays have slash-joined names (`params/encoder/stem/kernel`); the header's metadata names the model
and, of converted ones, the source. Released files are float16, networks compute in float32.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ivs_jax.io.atomic import atomic
from ivs_jax.models import model_named, variable_shapes


def released_folder() -> Path:
    """Where the weights lie that ship with the package."""
    return Path(str(files("ivs_jax") / "weights" / "released"))


def weights_path(name: str, folder: Path | None = None) -> Path:
    """File of the model `name` in `folder`, by default among the released ones."""
    return (folder or released_folder()) / f"{name}.safetensors"


def find_weights(name: str, given: Sequence[Path] = ()) -> Path:
    """The weights file of the model `name`.

    `given` are files, which name their model themselves, or folders of `<model>.safetensors`; a
    network that no given file is of has its released weights, or those of a given folder. Raises
    ValueError if there are none.
    """
    for path in given:
        if not path.is_dir() and read_metadata(path).get("model") == name:
            return path
    folders = [path for path in given if path.is_dir()] or [released_folder()]
    candidates = [weights_path(name, folder) for folder in folders]
    for file in candidates:
        if file.is_file():
            return file
    published = model_named(name).published
    if published is None:
        raise ValueError(f"{candidates[0]}: no weights of {name} there")
    raise ValueError(
        f"no weights of {name}: they do not ship. Convert a checkpoint ({published.checkpoint}; "
        f"github {published.repository}) with ivs convert {name} and give the result with --weights"
    )


def check_used(given: Sequence[Path], names: Sequence[str]) -> None:
    """Raises ValueError for a given file whose model is none of `names`."""
    for path in given:
        if not path.is_dir() and (model := read_metadata(path).get("model")) not in names:
            wanted = " and ".join(names)
            raise ValueError(f"{path}: weights of {model or 'an unnamed model'}, not of {wanted}")


def save_weights(
    path: Path,
    name: str,
    variables: Any,
    *,
    dtype: Any = np.float16,
    source: Mapping[str, str] | None = None,
) -> None:
    """Writes the variables of the model `name`, atomically.

    `source` goes into the header: where converted weights come from. Raises ValueError naming the
    tensor that is not finite, or too large for `dtype`.
    """
    flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
    arrays = {}
    for key, value in flat.items():
        with np.errstate(over="ignore"):  # reported below, with the name of the tensor
            arrays[key] = np.asarray(value, dtype, order="C")
        if not np.isfinite(arrays[key]).all():
            raise ValueError(f"{path}: {key} holds values that {np.dtype(dtype)} cannot")
    with atomic(path) as temporary:
        header = {"model": name, "format": "ivs_jax 1", **(source or {})}
        save_file(arrays, temporary, metadata=header)


def load_weights(name: str, *, path: Path | None = None) -> Any:
    """Variables `{"params", "batch_stats"}` of the model `name`, float32.

    `path` is a file or a folder of released files. Raises ValueError naming the file and what
    does not fit: not there, truncated, of another model, a tensor missing, left over or of another
    shape.
    """
    file = weights_path(name, path) if path is None or path.is_dir() else path
    found = read_metadata(file, name).get("model")
    if found != name:
        raise ValueError(f"{file}: weights of {found or 'an unnamed model'}, not {name}")
    arrays = _read(file)
    model = model_named(name)
    expected = traverse_util.flatten_dict(variable_shapes(model), sep="/")
    for key in sorted(expected.keys() ^ arrays.keys()):
        state = "is missing" if key in expected else f"does not belong to {name}"
        raise ValueError(f"{file}: tensor {key} {state}")
    for key, value in arrays.items():
        if value.shape != expected[key].shape:
            raise ValueError(f"{file}: {key} is {value.shape}, expected {expected[key].shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"{file}: {key} holds values that are not finite")
    return traverse_util.unflatten_dict(
        {key: value.astype(np.float32) for key, value in arrays.items()}, sep="/"
    )


def read_metadata(file: Path, name: str = "a network") -> dict[str, str]:
    """Header of a weights file: "model" and, of converted ones, "source", "sha256", "licence"."""
    if not file.is_file():
        raise ValueError(f"{file}: no weights of {name} there")
    try:
        with safe_open(file, framework="numpy") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{file}: not a complete safetensors file ({error})") from error


def _read(file: Path) -> dict[str, np.ndarray]:
    with safe_open(file, framework="numpy") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}
