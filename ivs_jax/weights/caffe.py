"""Reads the weights in a `.caffemodel` without Caffe: protobuf's wire format and nothing else.

The file is one `NetParameter` of caffe.proto. Of its fields only those that lead to weights are
read, in today's form (`layer`) and in the one before (`layers`); all others are skipped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
WIDTHS = {FIXED64: 8, FIXED32: 4}
# Field of a layer in NetParameter -> fields of its name and of its blobs.
LAYERS = {100: (1, 7), 2: (4, 6)}
LEGACY_SIDES = (1, 2, 3, 4)  # of a blob: num, channels, height, width
DATA, DIMENSIONS, SHAPE, DOUBLE_DATA = 5, 1, 7, 8  # of a blob; dimensions are inside its shape


class Field(NamedTuple):
    """One field of a message; `value` is a number for VARINT, else the bytes."""

    number: int
    wire: int
    value: int | memoryview


class _Malformed(Exception):
    """Bytes that are no protobuf message, or not the one expected."""


def read_caffemodel(path: Path) -> dict[str, np.ndarray]:
    """`{"conv1/bn/2": third blob of the layer conv1/bn}`, float32.

    Raises ValueError naming the file, and layer and blob where they are known: not there,
    truncated, of another format, data that do not fit their shape, a layer that comes twice.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    arrays: dict[str, np.ndarray] = {}
    try:
        for field in _fields(memoryview(path.read_bytes())):
            if field.number in LAYERS:
                for key, array in _layer(field).items():
                    if key in arrays:
                        raise _Malformed(f"blob {key} comes twice")
                    arrays[key] = array
    except _Malformed as error:
        raise ValueError(f"{path}: not a complete caffemodel file ({error})") from error
    if not arrays:
        raise ValueError(f"{path}: no layer with weights in it, expected a caffemodel file")
    return arrays


def _layer(layer: Field) -> dict[str, np.ndarray]:
    """The blobs of one layer, by name and index."""
    name_field, blob_field = LAYERS[layer.number]
    name, blobs = "", []
    for field in _fields(_bytes(layer)):
        if field.number == name_field:
            name = bytes(_bytes(field)).decode("utf-8", "replace")
        elif field.number == blob_field:
            blobs.append(_bytes(field))
    found = {}
    for index, data in enumerate(blobs):
        try:
            found[f"{name}/{index}"] = _blob(data)
        except _Malformed as error:
            raise _Malformed(f"layer {name}, blob {index}: {error}") from error
    return found


def _blob(data: memoryview) -> np.ndarray:
    legacy, shape, parts = dict[int, int](), None, []
    for field in _fields(data):
        if field.number in LEGACY_SIDES:
            legacy[field.number] = _number(field)
        elif field.number == SHAPE:
            shape = [n for f in _fields(_bytes(field)) if f.number == DIMENSIONS for n in _all(f)]
        elif field.number in (DATA, DOUBLE_DATA):
            dtype = np.dtype("<f4" if field.number == DATA else "<f8")
            content = _bytes(field, (BYTES, FIXED32 if field.number == DATA else FIXED64))
            if len(content) % dtype.itemsize:
                raise _Malformed(f"{len(content)} bytes are no whole number of values")
            parts.append(np.frombuffer(content, dtype))
    if legacy:
        shape = [legacy.get(side, 1) for side in LEGACY_SIDES]
        if shape[:3] == [1, 1, 1]:  # so the old form wrote vectors
            shape = shape[3:]
    values = np.concatenate(parts, dtype=np.float32) if parts else np.zeros(0, np.float32)
    sides = tuple(shape or ())
    count = 1
    for side in sides:
        count *= side
    if count != len(values):
        raise _Malformed(f"{len(values)} values do not fill the shape {sides}")
    return values.reshape(sides)


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message in order."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise _Malformed("a field of number 0")
        if wire == VARINT:
            value, position = _varint(data, position)
            yield Field(number, wire, value)
            continue
        if wire == BYTES:
            size, position = _varint(data, position)
        elif wire in WIDTHS:
            size = WIDTHS[wire]
        else:
            raise _Malformed(f"field {number} has the unknown wire type {wire}")
        if size > len(data) - position:
            raise _Malformed(f"field {number} ends {size - len(data) + position} bytes too late")
        yield Field(number, wire, data[position : position + size])
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _Malformed("the data end inside a number")
        byte = data[position]
        value, position = value | (byte & 0x7F) << shift, position + 1
        if byte < 0x80:
            return value, position
    raise _Malformed("a number of more than 10 bytes")


def _all(field: Field) -> list[int]:
    """The numbers of a repeated field, packed or one at a time."""
    if field.wire == VARINT:
        return [_number(field)]
    data, position, found = _bytes(field), 0, []
    while position < len(data):
        value, position = _varint(data, position)
        found.append(value)
    return found


def _number(field: Field) -> int:
    if not isinstance(field.value, int):
        raise _Malformed(f"field {field.number} is no number")
    return field.value


def _bytes(field: Field, wires: tuple[int, ...] = (BYTES,)) -> memoryview:
    if field.wire not in wires or isinstance(field.value, int):
        raise _Malformed(f"field {field.number} has the wire type {field.wire}")
    return field.value
