"""Published state dicts filled by rule, as they were for the stored outputs in `goldens/`.

Each value follows from the name and shape of its tensor alone, so a converter that maps one tensor
wrongly changes the outputs.
"""

import zlib
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parent / "goldens"
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 of `shape`; a batch counter is an int64 zero."""
    leaf = name.split(".")[-1]
    noise = np.random.default_rng([0, zlib.crc32(name.encode())]).standard_normal(shape)
    noise = noise.astype(np.float32)
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf in ("mean", "std") and shape == (1, 3, 1, 1):
        return np.array(MEAN if leaf == "mean" else STD, np.float32).reshape(shape)
    if leaf == "running_var":
        return 1.0 + 0.1 * np.abs(noise)
    if leaf == "running_mean":
        return 0.1 * noise
    if leaf == "bias":
        return 0.05 * noise
    if len(shape) <= 1:  # the scale of a normalisation, small where it closes a residual branch
        closing = any(part in name for part in (".bn2.", ".bn3.", ".fuse_layers."))
        return (0.3 if closing else 1.0) * (1.0 + 0.1 * noise)
    gain = 0.1 if shape[0] == 1 else 1.0
    return noise * np.float32(gain * np.sqrt(2.0 / np.prod(shape[1:])))


def names_and_shapes(keys: str, net: str | None = None) -> dict[str, tuple[int, ...]]:
    """Tensors of the published checkpoint listed in `goldens/keys/<keys>.txt`.

    `net` picks the lines of one network where a list holds two.
    """
    found = {}
    for line in (GOLDENS / "keys" / f"{keys}.txt").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if net is not None:
            if fields.pop(0) != net:
                continue
        sides = fields[1]
        shape = () if sides == "scalar" else tuple(int(side) for side in sides.split("x"))
        found[fields[0]] = shape
    return found


def state_dict(keys: str, net: str | None = None) -> dict[str, np.ndarray]:
    """The whole checkpoint, filled by rule."""
    return {name: tensor(name, shape) for name, shape in names_and_shapes(keys, net).items()}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest expected value."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# What PyTorch would call the blobs of Caffe's layers, so that `tensor` fills them sensibly.
_CAFFE = {
    "Convolution": ("weight", "bias"),
    "Deconvolution": ("weight",),
    "BatchNorm": ("running_mean", "running_var"),
    "Scale": ("weight", "bias"),
    "PReLU": ("weight",),
}
CAFFE_FACTOR = 2.0  # the third blob of every BatchNorm, which divides the two others


def caffe_blobs(keys: str = "brs_caffe") -> dict[str, np.ndarray]:
    """A whole .caffemodel as `read_caffemodel` returns it, filled by rule."""
    found = {}
    for line in (GOLDENS / "keys" / f"{keys}.txt").read_text(encoding="utf-8").splitlines():
        layer, kind, blob, sides = line.split()
        index = int(blob.removeprefix("blob"))
        shape = tuple(int(side) for side in sides.split("x"))
        if kind == "BatchNorm" and index == 2:
            found[f"{layer}/2"] = np.full(shape, CAFFE_FACTOR, np.float32)
            continue
        value = tensor(f"{layer}.{_CAFFE[kind][index]}", shape)
        factor = {"BatchNorm": CAFFE_FACTOR, "PReLU": 0.25}.get(kind, 1.0)
        found[f"{layer}/{index}"] = np.float32(factor) * value
    return found
