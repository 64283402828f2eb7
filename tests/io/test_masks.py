"""Masks in and out: what is written is read again; what users bring is understood or refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageFilter

from ivs_jax.io import (
    MaskError,
    MaskWarning,
    atomic,
    coco_frame,
    davis_palette,
    decode_rle,
    encode_rle,
    pack_labels,
    pack_probability,
    read_mask,
    unpack_labels,
    unpack_probability,
    write_coco_annotations,
    write_object_pngs,
    write_palette_png,
    write_rgba,
)

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)
LABELS = arrays(np.uint8, SHAPES, elements=st.integers(0, 254))


@pytest.fixture
def two() -> np.ndarray:
    """A mask with two solid objects, ids 1 and 2, and background."""
    labels = np.zeros((20, 30), np.uint8)
    labels[3:12, 4:14] = 1
    labels[8:18, 16:27] = 2
    return labels


def test_palette_is_the_known_one():
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    assert [tuple(c) for c in davis_palette()[:6].tolist()] == known
    assert davis_palette()[255].tolist() == [224, 224, 192]  # VOC's void
    assert len(np.unique(davis_palette(), axis=0)) == 256


@given(labels=LABELS)
@settings(max_examples=40, deadline=None)
def test_palette_png_round_trip(labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("masks") / "m.png"
    write_palette_png(path, labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), davis_palette()[labels])
    np.testing.assert_array_equal(read_mask(path, size=labels.shape), labels)


@given(labels=LABELS)
@settings(max_examples=60, deadline=None)
def test_pack_labels_round_trip(labels):
    found = unpack_labels(pack_labels(labels))
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == np.uint8 and found.flags.writeable


@given(p=arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)))
@settings(max_examples=60, deadline=None)
def test_pack_probability_error(p):
    found = unpack_probability(pack_probability(p))
    assert found.dtype == np.float32 and found.shape == p.shape
    assert np.abs(found.astype(np.float64) - p).max() <= 1 / 510 + 1e-7


def test_packing_is_small_and_typed(two):
    big = np.kron(two, np.ones((24, 28), np.uint8))
    assert len(pack_labels(big)) < big.size / 50
    with pytest.raises(ValueError, match="start with b'lab1', expected b'prb1'"):
        unpack_probability(pack_labels(two))
    with pytest.raises(ValueError, match="damaged"):
        unpack_labels(pack_labels(two)[:-4])
    with pytest.raises(ValueError, match="expected b'lab1'"):
        unpack_labels(b"")
    for bad in (np.full((2, 2), np.nan), np.full((2, 2), 1.1)):
        with pytest.raises(ValueError, match="expected 0..1"):
            pack_probability(bad)


def plain_rle(mask: np.ndarray) -> list[int]:
    """Uncompressed COCO counts: column-major runs, zeros first."""
    counts, value = [0], 0
    for pixel in mask.T.reshape(-1):
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


@given(mask=arrays(np.bool_, SHAPES))
@settings(max_examples=60, deadline=None)
def test_rle_round_trip(mask):
    from pycocotools import mask as coco

    rle = json.loads(json.dumps(encode_rle(mask)))
    np.testing.assert_array_equal(decode_rle(rle), mask)
    expected = coco.frPyObjects({"size": list(mask.shape), "counts": plain_rle(mask)}, *mask.shape)
    assert rle["counts"] == expected["counts"].decode()


def test_coco_file(tmp_path, two):
    path = tmp_path / "out" / "coco.json"
    empty = np.zeros_like(two)
    frames = [(0, "a", two), (1, "b", empty), (7, "c", two * 3)]
    write_coco_annotations(path, iter(frames), video="v.mp4", size=two.shape, objects=None)
    found = json.loads(path.read_text())
    assert {k: found[k] for k in ("video", "height", "width")} == {
        "video": "v.mp4",
        "height": 20,
        "width": 30,
    }
    assert [f["frame"] for f in found["frames"]] == [0, 1, 7]
    assert [len(f["objects"]) for f in found["frames"]] == [2, 0, 2]
    first = found["frames"][0]["objects"][1]
    assert (first["id"], first["area"], first["bbox"]) == (2, 110, [16, 8, 11, 10])
    np.testing.assert_array_equal(decode_rle(first), two == 2)
    assert [o["id"] for o in coco_frame(0, "a", two, [2, 5])["objects"]] == [2]


def test_coco_is_streamed_and_all_or_nothing(tmp_path, two):
    path = tmp_path / "coco.json"

    def frames():
        yield 0, "a", two
        yield 1, "b", two[:-1]

    with pytest.raises(ValueError, match=r"frame 1 has labels \[19, 30\], expected \[20, 30\]"):
        write_coco_annotations(path, frames(), video="v", size=two.shape)
    assert list(tmp_path.iterdir()) == []
    write_coco_annotations(path, [], video="v", size=two.shape)
    assert json.loads(path.read_text())["frames"] == []


def test_atomic_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_object_pngs(tmp_path, two):
    paths = write_object_pngs(tmp_path, "00003", two, [1, 2, 9])
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == [
        "001/00003.png",
        "002/00003.png",
        "009/00003.png",
    ]
    for obj, path in zip([1, 2, 9], paths, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), (two == obj) * np.uint8(255))
    np.testing.assert_array_equal(read_mask(paths[1]), two == 2)


def test_rgba_cut_out(tmp_path, two):
    image = np.random.default_rng(0).integers(0, 256, (*two.shape, 3), dtype=np.uint8)
    write_rgba(tmp_path / "a.png", image, two == 1)
    found = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(found[..., :3], image)
    np.testing.assert_array_equal(found[..., 3], np.where(two == 1, 255, 0))
    with pytest.raises(ValueError, match="expected bool or 0..1"):
        write_rgba(tmp_path / "b.png", image, two)
    with pytest.raises(ValueError, match=r"mask is \[19, 30\]"):
        write_rgba(tmp_path / "b.png", image, two[1:] == 1)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 1), int), np.zeros((2, 2)), np.full((2, 2), 255)])
def test_labels_of_another_kind_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match="labels"):
        write_palette_png(tmp_path / "m.png", bad)


def test_grey_masks(tmp_path, two):
    path = tmp_path / "m.png"
    for grey, expected in [
        (two, two),
        (two * 100, two * 100),
        (np.where(two == 1, 255, 0), two == 1),
        (np.where(two == 1, 255, two), np.where(two == 1, 0, two)),  # void beside an id
        (np.full_like(two, 255), np.ones_like(two)),
        (np.zeros_like(two), np.zeros_like(two)),
    ]:
        Image.fromarray(grey.astype(np.uint8)).save(path)
        np.testing.assert_array_equal(read_mask(path), expected)
    Image.fromarray(two == 1).save(path)  # 1 bit
    np.testing.assert_array_equal(read_mask(path), two == 1)
    Image.fromarray(np.where(two == 1, 65535, 0).astype(np.uint16)).save(path)
    np.testing.assert_array_equal(read_mask(path), two == 1)
    Image.fromarray(two.astype(np.uint16) * 300).save(path)
    with pytest.raises(MaskError, match="ids up to 600, expected at most 254"):
        read_mask(path)


def test_foreign_palette_keeps_indices(tmp_path, two):
    image = Image.fromarray(two)
    image.putpalette([0, 0, 0, 250, 250, 250, 10, 200, 10])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), two)


def test_reordered_palette_goes_by_colour(tmp_path, two):
    order = np.array([2, 0, 1], np.uint8)  # index of background is 2, of object 1 is 0, ...
    image = Image.fromarray(order[two])
    image.putpalette(davis_palette()[[1, 2, 0]].tobytes())
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), two)


def test_colours_of_the_davis_palette(tmp_path, two):
    labels = two * 3
    Image.fromarray(davis_palette()[labels]).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)
    labels[0] = 255  # void
    Image.fromarray(davis_palette()[labels]).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), np.where(labels == 255, 0, labels))


def test_white_on_black_in_colour(tmp_path, two):
    Image.fromarray(np.where(two[..., None] == 2, 255, np.zeros(3)).astype(np.uint8)).save(
        tmp_path / "m.png"
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), two == 2)


def test_other_colours_are_numbered_and_told(tmp_path, two):
    for ground in ([0, 0, 0], [9, 9, 200]):
        colours = np.array([ground, [255, 0, 0], [0, 255, 10]], np.uint8)
        Image.fromarray(colours[two]).save(tmp_path / "m.png")
        told = "m.png: .*#00ff0a -> 1, .*#ff0000 -> 2"
        with pytest.warns(MaskWarning, match=told if not any(ground) else "#0909c8 -> 0"):
            found = read_mask(tmp_path / "m.png")
        np.testing.assert_array_equal(found, np.array([0, 2, 1])[two])


def test_transparent_is_background(tmp_path, two):
    rgba = np.dstack([np.full((*two.shape, 3), 255), np.where(two, 255, 0)]).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), two > 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_smoothed_masks_are_refused(tmp_path, two, mode):
    big = np.kron(two, np.ones((4, 4), np.uint8))
    path = tmp_path / "m.png"
    image = Image.fromarray((big > 0).astype(np.uint8) * 255)
    if mode == "RGB":
        image = Image.fromarray(davis_palette()[big])
    smooth = image.rotate(20, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    (smooth.convert(mode) if mode == "L" else smooth.convert("RGB")).save(path)
    if mode == "P":
        smooth.quantize(32).save(path)
    with pytest.raises(MaskError, match="m.png: .* only on thin borders: .*nearest neighbour"):
        read_mask(path)


def test_four_levels_of_smoothing_are_refused_too(tmp_path, two):
    big = Image.fromarray((two == 1).astype(np.uint8) * 255).rotate(30)
    small = big.resize((15, 10), Image.Resampling.BOX)
    assert 3 <= len(np.unique(np.asarray(small))) <= 6
    small.resize((60, 40), Image.Resampling.BILINEAR).save(tmp_path / "m.png")
    with pytest.raises(MaskError, match="thin borders"):
        read_mask(tmp_path / "m.png")


def test_jpeg_masks_are_refused(tmp_path, two):
    big = np.kron(two == 1, np.ones((8, 8), np.uint8)).astype(np.uint8) * 255
    Image.fromarray(big).rotate(10).save(tmp_path / "m.jpg", quality=80)
    with pytest.raises(MaskError, match="lossy"):
        read_mask(tmp_path / "m.jpg")


def test_many_small_objects_are_not_taken_for_smoothing(tmp_path):
    labels = np.zeros((64, 64), np.uint8)
    for i in range(100):
        y, x = divmod(i, 10)
        labels[6 * y : 6 * y + 2, 6 * x : 6 * x + 3] = i + 1
    Image.fromarray(labels).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)


def test_wrong_files(tmp_path, two):
    path = tmp_path / "m.png"
    with pytest.raises(MaskError, match="m.png: no such mask file"):
        read_mask(path)
    path.write_text("text")
    with pytest.raises(MaskError, match="m.png: not a readable mask image"):
        read_mask(path)
    write_palette_png(path, two)
    with pytest.raises(MaskError, match=r"m.png: the mask is 30x20, expected 20x30 \(width"):
        read_mask(path, size=(30, 20))


def test_real_instance_masks_as_grey_and_colour(tmp_path, shared_data):
    """Real masks with many, also tiny, objects are read whatever way they are stored."""
    files = sorted((shared_data / "stills" / "coco" / "masks").glob("*.png"))[::40]
    assert files
    for file in files:
        labels = read_mask(file)
        Image.fromarray(labels).save(tmp_path / "grey.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), labels)
        Image.fromarray(davis_palette()[labels]).save(tmp_path / "colour.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "colour.png"), labels)
