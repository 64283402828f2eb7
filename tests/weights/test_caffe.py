"""The reader of .caffemodel files against files that a small writer makes."""

import struct

import numpy as np
import pytest

from ivs_jax.weights.caffe import read_caffemodel


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def shape(*sides, packed=True):
    if packed:
        return text(7, text(1, b"".join(varint(side) for side in sides)))
    return text(7, b"".join(number(1, side) for side in sides))


def floats(array, field=5, form="<f4"):
    return text(field, np.asarray(array, form).tobytes())


def layer(name, *blobs):
    """As Caffe writes them today, with fields that nobody needs between the others."""
    parts = [text(1, name.encode()), text(2, b"Convolution"), text(3, b"below")]
    parts += [text(6, number(3, 1))] + [text(7, blob) for blob in blobs]
    return text(100, b"".join(parts) + text(106, number(1, 64)))


def old_layer(name, *blobs):
    parts = [text(2, b"below"), text(3, b"above"), text(4, name.encode()), number(5, 4)]
    return text(2, b"".join(parts) + b"".join(text(6, blob) for blob in blobs))


@pytest.fixture
def file(tmp_path):
    def write(*parts):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(text(1, b"NET") + b"".join(parts))
        return path

    return write


def values(*sides, seed=0):
    return np.random.default_rng(seed).normal(size=sides).astype(np.float32)


KERNEL, BIAS, FACTOR = values(4, 3, 1, 2), values(4, seed=1), np.array([999.98], "f4")


def new_style():
    whole = layer("conv1", shape(*KERNEL.shape) + floats(KERNEL), shape(4) + floats(BIAS))
    return layer("relu1") + whole + layer("conv1/bn", shape(1) + floats(FACTOR))


def test_layers_of_today(file):
    found = read_caffemodel(file(new_style()))
    assert list(found) == ["conv1/0", "conv1/1", "conv1/bn/0"]
    for name, expected in zip(found, (KERNEL, BIAS, FACTOR), strict=True):
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], expected)


def test_old_layers_with_four_sides(file):
    def blob(array):
        sides = (1,) * (4 - array.ndim) + array.shape
        return b"".join(number(i, side) for i, side in enumerate(sides, 1)) + floats(array)

    one = values(1, 4, 1, 1)  # a kernel with one output
    found = read_caffemodel(
        file(old_layer("conv", blob(KERNEL), blob(BIAS)) + old_layer("p", blob(one)))
    )
    assert {name: array.shape for name, array in found.items()} == {
        "conv/0": KERNEL.shape,
        "conv/1": BIAS.shape,
        "p/0": one.shape,
    }
    np.testing.assert_array_equal(found["conv/0"], KERNEL)
    np.testing.assert_array_equal(found["conv/1"], BIAS)


def test_other_forms_of_the_same_data(file):
    single = b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in BIAS)
    halves = floats(BIAS[:1]) + floats(BIAS[1:])
    doubles = floats(BIAS.astype("f8"), 8, "<f8")
    diff = floats(values(9), 6)  # the gradient of a solver's snapshot
    blobs = [shape(4, packed=False) + data for data in (single, halves, doubles, diff + halves)]
    found = read_caffemodel(file(layer("a", *blobs)))
    assert len(found) == 4
    for array in found.values():
        np.testing.assert_array_equal(array, BIAS)


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_caffemodel(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_any_cut_is_an_error_or_leaves_whole_layers(file):
    whole = file(new_style()).read_bytes()
    complete = read_caffemodel(file(new_style()))
    ends = 0
    for keep in range(len(whole)):
        path = file()
        path.write_bytes(whole[:keep])
        try:
            found = read_caffemodel(path)
        except ValueError as error:
            assert str(path) in str(error)
            continue
        ends += 1
        for name, array in found.items():
            np.testing.assert_array_equal(array, complete[name])
    assert ends == 1  # after conv1, which the converter finds incomplete


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" * 9, b'name: "NET"\nlayer {\n', b"\x00" * 40, b"\xff" * 40]
)
def test_files_of_another_kind(tmp_path, data):
    path = tmp_path / "other.caffemodel"
    path.write_bytes(data)
    refused(path, "expected a caffemodel file|not a complete caffemodel file")


def test_data_that_do_not_fit_their_shape_are_named(file):
    path = file(layer("conv1", shape(4) + floats(BIAS), shape(5) + floats(BIAS)))
    refused(path, r"layer conv1, blob 1: 4 values do not fill the shape \(5,\)")
    refused(file(layer("x", shape(2**62, 2**62) + floats(BIAS))), "layer x, blob 0: 4 values")
    refused(file(layer("x", shape(1) + text(5, b"abcde"))), "blob 0: 5 bytes are no whole number")
    refused(file(layer("x", number(7, 3))), "layer x, blob 0: field 7 has the wire type 0")
    refused(file(layer("x", text(1, b"abc"))), "layer x, blob 0: field 1 is no number")


def test_a_layer_that_comes_twice_and_an_absent_file(file, tmp_path):
    refused(file(new_style() + layer("conv1", shape(4) + floats(BIAS))), "conv1/0 comes twice")
    refused(tmp_path / "nowhere.caffemodel", "no such file")
