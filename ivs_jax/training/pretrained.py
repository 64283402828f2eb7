"""ImageNet weights for the encoders of a network that starts from scratch.

Two kinds of file are read: the MobileNetV1 arrays of Keras (`.npz`), and for the published networks
the classifier that each of them started from, under its own names: torchvision's ResNet-50 (STM,
IPN), GluonCV's ResNet v1b / v1s as ported to PyTorch and HRNet's own files (f-BRS, RITM), the
DenseNet-121 of Caffe (BRS).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from flax import traverse_util

from ivs_jax.models.mobilenet import load_keras
from ivs_jax.training.groups import ENCODERS, of_encoder
from ivs_jax.weights.checkpoint import read_checkpoint
from ivs_jax.weights.convert import table_of
from ivs_jax.weights.table import LAYOUTS

# Published names of an encoder's tensors start with its module; the classifier's do not.
MODULE = re.compile(r"^(Encoder_[MQ]|[IP]\.Encoder|feature_extractor(\.backbone)?)\.")
STAGE = re.compile(r"^res(\d)\.")  # res2..res5 of STM and IPN are torchvision's layer1..layer4


def with_imagenet(network: str, variables: Any, file: Path) -> Any:
    """`variables` of the network of that name with all its encoders filled from `file`.

    Kernels of further input channels and everything behind the encoders stay as they are. Raises
    ValueError naming the file and the tensor that is missing or of another shape.
    """
    if file.suffix == ".npz":
        return _with_keras(network, variables, file)
    arrays = read_checkpoint(file)
    flat = traverse_util.flatten_dict(variables, sep="/")
    for entry in table_of(network).entries:
        if not of_encoder(tuple(entry.target.split("/")[1:])):
            continue
        names = [_classifier_name(source) for source in entry.sources]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"{file}: tensor {missing[0]} of the encoder of {network} is missing")
        parts = [np.asarray(arrays[name], np.float32) for name in names]
        expected = flat[entry.target].shape
        try:
            value = LAYOUTS[entry.layout](*parts)
        except (ValueError, IndexError):
            value = None
        if value is None or value.shape != expected:
            found = " and ".join(f"{n} {p.shape}" for n, p in zip(names, parts, strict=True))
            raise ValueError(f"{file}: {found} does not give {entry.target} {expected}")
        flat[entry.target] = np.ascontiguousarray(value)
    return traverse_util.unflatten_dict(flat, sep="/")


def _classifier_name(source: str) -> str:
    name = MODULE.sub("", source)
    return STAGE.sub(lambda found: f"layer{int(found[1]) - 1}.", name)


def _with_keras(network: str, variables: Any, file: Path) -> Any:
    arrays = _read_npz(file)
    encoders = [name for name in ENCODERS if "blocks_0" in variables["params"].get(name, {})]
    if not encoders:
        raise ValueError(f"{file}: weights of a MobileNet, but {network} has none")
    filled = {part: dict(tree) for part, tree in variables.items()}
    for name in encoders:
        own = {part: tree[name] for part, tree in filled.items()}
        try:
            loaded = load_keras(own, arrays)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        for part in filled:
            filled[part][name] = loaded[part]
    return filled


def _read_npz(file: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(file) as opened:
            return dict(opened)
    except (OSError, ValueError, BadZipFile) as error:
        raise ValueError(f"{file}: cannot be read as .npz ({error})") from error
