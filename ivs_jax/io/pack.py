"""Masks and probabilities as small byte strings: a session holds those of a long video."""

import struct
import zlib

import numpy as np

from .masks import check_labels

_HEADER = struct.Struct("<4sII")
_LABELS, _PROBABILITY = b"lab1", b"prb1"
_LEVEL = 1  # masks shrink about 100 x at the fastest level already


def pack_labels(labels: np.ndarray) -> bytes:
    """Packs `[H, W]` ids 0..254 without loss; see `unpack_labels`."""
    return _pack(_LABELS, check_labels(labels))


def unpack_labels(packed: bytes) -> np.ndarray:
    """Inverse of `pack_labels`: uint8 `[H, W]`. Raises ValueError for other bytes."""
    return _unpack(_LABELS, packed)


def pack_probability(probability: np.ndarray) -> bytes:
    """Packs `[H, W]` floats in [0, 1] in 256 steps: an error of at most 1/510."""
    probability = np.asarray(probability, np.float32)
    if probability.ndim != 2 or probability.size == 0:
        raise ValueError(f"probability is {list(probability.shape)}, expected [H, W]")
    low, high = probability.min(), probability.max()
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # also refuses NaN; rounding may overshoot a little
        raise ValueError(f"probability has values {low}..{high}, expected 0..1")
    return _pack(_PROBABILITY, np.rint(probability.clip(0, 1) * 255).astype(np.uint8))


def unpack_probability(packed: bytes) -> np.ndarray:
    """Inverse of `pack_probability`: float32 `[H, W]` in [0, 1]."""
    return _unpack(_PROBABILITY, packed).astype(np.float32) / np.float32(255)


def _pack(kind: bytes, array: np.ndarray) -> bytes:
    return _HEADER.pack(kind, *array.shape) + zlib.compress(array.tobytes(), _LEVEL)


def _unpack(kind: bytes, packed: bytes) -> np.ndarray:
    found, height, width = _HEADER.unpack_from(packed.ljust(_HEADER.size, b"\0"))
    if found != kind:
        raise ValueError(f"packed bytes start with {found!r}, expected {kind!r}")
    try:
        raw = bytearray(zlib.decompress(packed[_HEADER.size :]))
    except zlib.error as error:
        raise ValueError(f"packed bytes are damaged ({error})") from error
    if len(raw) != height * width:
        raise ValueError(f"packed bytes hold {len(raw)} pixels, expected {height} x {width}")
    return np.frombuffer(raw, np.uint8).reshape(height, width)
