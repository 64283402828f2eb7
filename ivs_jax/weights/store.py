"""Released weights: one `.safetensors` file a network, checked against the network at load.

Arrays have slash-joined names (`params/encoder/stem/kernel`); the header's metadata names the
model. Released files are float16, networks compute in float32.
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ivs_jax.io.atomic import atomic
from ivs_jax.models import initial_variables, model_named


def released_folder() -> Path:
    """Where the weights lie that ship with the package."""
    return Path(str(files("ivs_jax") / "weights" / "released"))


def weights_path(name: str, folder: Path | None = None) -> Path:
    """File of the model `name` in `folder`, by default among the released ones."""
    return (folder or released_folder()) / f"{name}.safetensors"


def save_weights(path: Path, name: str, variables: Any, *, dtype: Any = np.float16) -> None:
    """Writes the variables of the model `name`, atomically.

    Raises ValueError naming the tensor that is not finite, or too large for `dtype`.
    """
    flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
    arrays = {}
    for key, value in flat.items():
        with np.errstate(over="ignore"):  # reported below, with the name of the tensor
            arrays[key] = np.asarray(value, dtype, order="C")
        if not np.isfinite(arrays[key]).all():
            raise ValueError(f"{path}: {key} holds values that {np.dtype(dtype)} cannot")
    with atomic(path) as temporary:
        save_file(arrays, temporary, metadata={"model": name, "format": "ivs_jax 1"})


def load_weights(name: str, *, path: Path | None = None) -> Any:
    """Variables `{"params", "batch_stats"}` of the model `name`, float32.

    `path` is a file or a folder of released files. Raises ValueError naming the file and what
    does not fit: not there, truncated, of another model, a tensor missing, left over or of another
    shape.
    """
    file = weights_path(name, path) if path is None or path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{file}: no weights of {name} there")
    arrays = _read(file, name)
    model = model_named(name)
    shapes = jax.eval_shape(lambda key: initial_variables(model, key), jax.random.key(0))
    expected = traverse_util.flatten_dict(shapes, sep="/")
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


def _read(file: Path, name: str) -> dict[str, np.ndarray]:
    try:
        with safe_open(file, framework="numpy") as opened:
            found = (opened.metadata() or {}).get("model")
            if found != name:
                raise ValueError(f"{file}: weights of {found or 'an unnamed model'}, not {name}")
            return {key: opened.get_tensor(key) for key in opened.keys()}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{file}: not a complete safetensors file ({error})") from error
