import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.clips import Clip, ClipFrames
from ivs_jax.data.sets import Davis


def _sequence(root, name, *, frames=3, size=(6, 8), mark=lambda number: 10 * number):
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = root / kind / "240p" / name
        folder.mkdir(parents=True)
        for number in range(frames):
            value = mark(number) if suffix == "png" else 10 * number
            pixels = np.full((*size, 3) if suffix == "jpg" else size, value, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:05d}.{suffix}")


def _listing(root, *lines, year="2017"):
    folder = root / "ImageSets" / year
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.txt").write_text("\n".join(lines) + "\n")


def _open(root, **options):
    davis = Davis(root.name, split="train", resolution="240p", **options)
    return davis.open(root.parent)


@pytest.fixture
def bear(tmp_path):
    _sequence(tmp_path, "bear")
    _listing(tmp_path, "bear")
    return tmp_path


def test_lists_of_frames_and_of_sequences_name_the_same_clips(tmp_path):
    _sequence(tmp_path, "bear")
    _sequence(tmp_path, "ant", frames=2)
    lines = [f"/JPEGImages/480p/{n}/{i:05d}.jpg /x.png" for n in ("bear", "ant") for i in (0, 1)]
    _listing(tmp_path, *lines, year="2016")
    _listing(tmp_path, "bear", "", "ant")
    for year in ("2016", "2017"):
        clips = _open(tmp_path, year=year)
        assert [clip.name for clip in clips] == ["bear", "ant"] and len(clips[1]) == 2
        clip = clips[0]
        assert (len(clip), clip.size, clip.annotated) == (3, (6, 8), (0, 1, 2))
        assert clip.frame(2).shape == (6, 8, 3) and clip.frame(2).dtype == np.uint8
        assert clip.labels(2).shape == (6, 8) and clip.labels(2).dtype == np.uint8


@pytest.mark.parametrize(("year", "ids"), [("2017", [0, 2, 1]), ("2016", [0, 1, 1])])
def test_masks_of_2016_mark_one_object_whatever_their_values(tmp_path, year, ids):
    _sequence(tmp_path, "bear", mark=(0, 2, 255).__getitem__)  # 255 alone is an object of 2016
    _listing(tmp_path, "bear", year=year)
    clip = _open(tmp_path, year=year)[0]
    assert [clip.labels(i)[0, 0] for i in range(3)] == ids
    half = np.where(np.arange(8) < 4, 2, 255).astype(np.uint8)
    Image.fromarray(np.tile(half, (6, 1))).save(tmp_path / "Annotations/240p/bear/00001.png")
    assert set(np.unique(_open(tmp_path, year=year)[0].labels(1))) == {ids[1], 255}


@pytest.mark.parametrize("cached", [True, False])
def test_a_clip_decodes_lazily_and_remembers_only_if_asked(bear, cached):
    clips = _open(bear, cached=cached)
    (bear / "JPEGImages/240p/bear/00002.jpg").write_bytes(b"torn")
    assert (clips[0].frame(1) is clips[0].frame(1)) == cached
    frame = clips[0].frame(1)
    copy = pickle.loads(pickle.dumps(clips[0]))
    assert copy.frame(1) is not frame and (copy.frame(1) == frame).all()
    with pytest.raises(ValueError, match=r"00002\.jpg: cannot be read"):
        clips[0].frame(2)


def test_frames_without_a_mask_are_allowed_only_where_they_are_expected(bear):
    (bear / "Annotations/240p/bear/00001.png").unlink()
    with pytest.raises(ValueError, match=r"240p/bear: no 00001\.png \(1 of 3 missing\)"):
        _open(bear)
    clip = _open(bear, sparse=True)[0]
    assert clip.annotated == (0, 2) and clip.labels(1) is None and clip.labels(2)[0, 0] == 20
    for number in (0, 2):
        (bear / f"Annotations/240p/bear/{number:05d}.png").unlink()
    with pytest.raises(ValueError, match=r"240p/bear: no 00000\.png \(3 of 3 missing\)"):
        _open(bear, sparse=True)


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(ValueError, match="no list of the split 'train', expected .*train.txt"):
        _open(tmp_path)
    _listing(tmp_path, "")
    with pytest.raises(ValueError, match=r"train\.txt: the split is empty, expected a name a line"):
        _open(tmp_path)


def test_a_sequence_without_frames_is_named(tmp_path):
    _listing(tmp_path, "bear")
    with pytest.raises(ValueError, match="240p/bear: no such folder, expected the sequence 'bear'"):
        _open(tmp_path)


@pytest.mark.parametrize("kind", ["frame", "mask"])
def test_a_frame_or_mask_of_another_size_is_named(bear, kind):
    file, mode = ("JPEGImages", "RGB") if kind == "frame" else ("Annotations", "L")
    suffix = "jpg" if kind == "frame" else "png"
    Image.new(mode, (4, 4)).save(bear / file / "240p" / "bear" / f"00002.{suffix}")
    clip = _open(bear)[0]
    with pytest.raises(ValueError, match=rf"00002\.\w+: {kind} is \(4, 4\), .* is \(6, 8\)"):
        clip.frame(2) if kind == "frame" else clip.labels(2)


def test_clips_of_encoded_bytes_name_themselves_and_the_frame():
    def png(size, mode):
        file = BytesIO()
        Image.new(mode, size, 7).save(file, "PNG")
        return file.getvalue()

    clip = Clip("set, bear", (png((8, 6), "RGB"), b"torn"), (None, png((8, 6), "L")))
    assert clip.size == (6, 8) and clip.annotated == (1,) and clip.labels(0) is None
    assert np.all(clip.labels(1) == 7) and clip.frame(0).shape == (6, 8, 3)
    with pytest.raises(ValueError, match=r"set, bear, frame 1: cannot be read"):
        clip.frame(1)
    with pytest.raises(ValueError, match=r"x: 1 frames and 0 masks, expected as many"):
        Clip("x", (b"",), ())


def test_every_so_manieth_annotated_frame_is_a_still(tmp_path):
    _sequence(tmp_path, "bear", frames=5)
    _sequence(tmp_path, "ant", frames=2)
    (tmp_path / "Annotations/240p/bear/00002.png").unlink()
    _listing(tmp_path, "bear", "ant")
    stills = ClipFrames(_open(tmp_path, sparse=True), 2)
    # Annotated are 0 1 3 4 of the one and 0 1 of the other: the first and third, and the first.
    assert [int(still.labels[0, 0]) for still in stills] == [0, 30, 0]
    assert stills[1].image.shape == (6, 8, 3) and "train" in stills[1].source
