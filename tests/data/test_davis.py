import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.davis import load_clips


def _sequence(root, name, *, frames=3, size=(6, 8)):
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = root / kind / "240p" / name
        folder.mkdir(parents=True)
        for number in range(frames):
            pixels = np.full((*size, 3) if suffix == "jpg" else size, 10 * number, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:05d}.{suffix}")


def _listing(root, *lines, year="2016"):
    folder = root / "ImageSets" / year
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.txt").write_text("\n".join(lines) + "\n")


def _load(root, **options):
    return load_clips(root, split="train", resolution="240p", **options)


def test_lists_of_frames_and_of_sequences_name_the_same_clips(tmp_path):
    _sequence(tmp_path, "bear")
    _sequence(tmp_path, "ant", frames=2)
    lines = [f"/JPEGImages/480p/{n}/{i:05d}.jpg /x.png" for n in ("bear", "ant") for i in (0, 1)]
    _listing(tmp_path, *lines)
    _listing(tmp_path, "bear", "", "ant", year="2017")
    for options in ({}, {"year": "2017"}):
        clips = _load(tmp_path, **options)
        assert [clip.name for clip in clips] == ["bear", "ant"]
        assert clips[0].frames.shape == (3, 6, 8, 3) and clips[0].frames.dtype == np.uint8
        assert clips[0].labels.shape == (3, 6, 8) and clips[0].labels.dtype == np.uint8
        assert clips[0].labels[:, 0, 0].tolist() == [0, 10, 20]
        assert clips[1].frames.shape[0] == 2


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"train\.txt: the list of sequences is missing"):
        _load(tmp_path)
    _listing(tmp_path, "")
    with pytest.raises(ValueError, match=r"train\.txt: names no sequence"):
        _load(tmp_path)


def test_a_sequence_without_frames_is_named(tmp_path):
    _listing(tmp_path, "bear")
    with pytest.raises(ValueError, match=r"240p/bear: no frames found"):
        _load(tmp_path)


def test_a_missing_annotation_is_named(tmp_path):
    _sequence(tmp_path, "bear")
    _listing(tmp_path, "bear")
    (tmp_path / "Annotations/240p/bear/00001.png").unlink()
    with pytest.raises(ValueError, match=r"bear/00001\.png: cannot be read"):
        _load(tmp_path)


def test_a_frame_of_another_size_is_named(tmp_path):
    _sequence(tmp_path, "bear")
    _listing(tmp_path, "bear")
    Image.new("RGB", (4, 4)).save(tmp_path / "JPEGImages/240p/bear/00002.jpg")
    Image.new("L", (4, 4)).save(tmp_path / "Annotations/240p/bear/00002.png")
    with pytest.raises(ValueError, match=r"00002\.jpg: frame is \(4, 4\), .* is \(6, 8\)"):
        _load(tmp_path)
