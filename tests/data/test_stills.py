import pickle
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import StillFiles
from ivs_jax.data.sets import Stills
from ivs_jax.data.stills import decode_labels, instance_ids, read_still


def _image(path, *, size=(6, 8), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), value, np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _mask(path, *, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(size, np.uint8)
    labels[1:3, 2:5], labels[0] = 7, 255
    image = Image.fromarray(labels)
    image.putpalette([v for i in range(256) for v in (255 - i, i, i)])
    image.save(path)
    return path


def _tree(folder):
    for number, name in enumerate(("b.jpg", "a.png", "c.jpeg")):
        _image(folder / "images" / name, value=50 * number)
        _mask(folder / "masks" / f"{name.split('.')[0]}.png")
    (folder / "images" / "notes.txt").write_text("not an image")
    return folder


def test_pairs_come_sorted_with_palette_indices_as_labels(tmp_path):
    _tree(tmp_path / "tiny")
    stills = Stills("tiny").open(tmp_path)
    assert [round(s.image.mean(), -1) for s in stills] == [50, 0, 100]  # a, b, c
    for still in stills:
        assert still.source == "tiny"
        assert still.image.shape == (6, 8, 3) and still.image.dtype == np.uint8
        assert still.labels.dtype == np.uint8
        assert np.unique(still.labels).tolist() == [0, 7, 255]
    assert len(stills) == 3 and len(stills[1:]) == 2 and stills[-1].image.mean() > 90
    with pytest.raises(IndexError):
        stills[3]


@pytest.mark.parametrize("cached", [True, False])
def test_a_set_reads_lazily_and_remembers_only_if_asked(tmp_path, cached):
    folder = _tree(tmp_path)
    stills = Stills(".", cached=cached).open(tmp_path)
    (folder / "masks" / "c.png").write_bytes(b"")
    first = stills[0]  # the broken file is another one
    assert (stills[0].image is first.image) == cached
    copy = pickle.loads(pickle.dumps(stills))  # as a worker process gets it: empty
    assert copy[0].image is not first.image
    with pytest.raises(ValueError, match=r"c\.png: not a readable mask"):
        stills[2]


def test_a_missing_mask_is_named(tmp_path):
    folder = _tree(tmp_path)
    (folder / "masks" / "b.png").unlink()
    message = r"masks/b\.png: no such file, expected for .*b\.jpg \(1 in all\)"
    with pytest.raises(ValueError, match=message):
        Stills(".").open(tmp_path)
    (folder / "images" / "b.jpg").unlink()
    (folder / "images" / "c.jpeg").unlink()  # a mask without its image is not in the set
    assert len(Stills(".").open(tmp_path)) == 1


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_images_is_named(tmp_path, make):
    if make:
        (tmp_path / "images").mkdir()
        (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match=r"images: no (image found|such folder), expected"):
        Stills(".").open(tmp_path)


def _read(image, mask):
    return read_still(StillFiles("one", image, mask, partial(read_ids, mask)), source="s")


def test_different_sizes_are_named_with_both_sizes(tmp_path):
    image, mask = _image(tmp_path / "i.png"), _mask(tmp_path / "m.png", size=(8, 6))
    with pytest.raises(ValueError, match=r"m\.png: mask is \(8, 6\).*i\.png is \(6, 8\)"):
        _read(image, mask)


@pytest.mark.parametrize("broken", ["i.jpg", "m.png"])
@pytest.mark.parametrize("content", [b"", b"no image at all", None])
def test_a_corrupt_or_truncated_file_is_named(tmp_path, broken, content):
    image, mask = _image(tmp_path / "i.jpg", size=(64, 64)), _mask(tmp_path / "m.png")
    path = tmp_path / broken
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] if content is None else content)
    with pytest.raises(ValueError, match=f"{broken}: (cannot be read|not a readable mask)"):
        _read(image, mask)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"m\.png: no such mask file"):
        _read(_image(tmp_path / "i.png"), tmp_path / "m.png")


@pytest.mark.parametrize("mode", ["RGB", "1", "I;16"])
def test_an_encoded_mask_that_holds_no_ids_is_refused(mode):
    file = BytesIO()
    Image.new(mode, (8, 6)).save(file, "PNG")
    with pytest.raises(ValueError, match=r"m: mask has the mode .*expected P"):
        decode_labels(file.getvalue(), "m")


def test_a_mask_file_whose_colours_are_no_known_ids_is_refused(tmp_path):
    Image.new("RGB", (8, 6), (9, 8, 7)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png: not the DAVIS palette"):
        _read(_image(tmp_path / "i.png"), tmp_path / "m.png")


def test_instances_count_from_the_smallest_area_without_void():
    labels = np.zeros((10, 10), np.uint8)
    labels[0], labels[1, :9], labels[2:], labels[9] = 3, 5, 255, 200
    assert instance_ids(labels, min_area=10) == [3, 200]
    assert instance_ids(labels, min_area=9) == [3, 5, 200]


def test_instances_that_hardly_fill_their_box_can_be_left_out():
    labels = np.zeros((20, 20), np.uint8)
    labels[np.arange(20), np.arange(20)] = 1  # a diagonal: 20 of 400 pixels
    labels[2:6, 12:18] = 2
    assert instance_ids(labels, min_area=5) == [1, 2]
    assert instance_ids(labels, min_area=5, min_fill=0.08) == [2]
