"""Every builder on a tiny tree in the official layout, read back without TensorFlow."""

import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.builders.build import build
from ivs_jax.data.builders.built import built_sets, human_scribbles
from ivs_jax.data.layouts.published import TREES
from ivs_jax.data.sets import Built, Stills
from tests.data import trees
from tests.data.trees import TRIMAP_LABELS, TWO, VOIDED

ONE, OTHER = (TWO == 1).astype(np.uint8), (TWO == 2).astype(np.uint8)

STILLS = {  # kind -> split -> image and labels of every record, in order
    "sbd": {
        "train": [("img/2008_2.jpg", TWO), ("img/2008_1.jpg", VOIDED)],
        "val": [("img/2009_9.jpg", TWO)],
    },
    "grabcut": {
        "test": [("data_GT/banana.JPG", TRIMAP_LABELS), ("data_GT/flower.bmp", TRIMAP_LABELS)]
    },
    "berkeley": {
        "test": [
            ("images/1001.jpg", TRIMAP_LABELS),
            ("images/2002.jpg", ONE),
            ("images/2002.jpg", OTHER),
        ]
    },
    "voc": {
        "train": [("JPEGImages/2007_1.jpg", VOIDED)],
        "val": [("JPEGImages/2007_2.jpg", TWO)],
    },
    "coco": {"val": [("val2017/000007.jpg", trees.coco_labels())]},
    "images": {"train": [("images/many.png", VOIDED), ("images/one.png", ONE)]},
    "saliency": {"train": [("images/a.jpg", ONE)]},
}
CLIPS: dict[
    str, dict[str, Any]
] = {  # kind -> split -> folder of the frames and labels of every clip, in order
    "davis2016": {"train": [("JPEGImages/480p/bear", [ONE, 0 * ONE, OTHER])]},
    "davis2017": {
        "train": [("JPEGImages/480p/bear", [TWO, VOIDED])],
        "val": [("JPEGImages/480p/dogs", [0 * TWO, TWO, TWO])],
        "test-dev": [("JPEGImages/480p/carousel", [TWO, None, None])],
    },
    "youtube_vos": {
        "train": [("train/JPEGImages/0a1b", [0 * TWO, None, 2 * OTHER])],
        "valid": [("valid/JPEGImages/0a1b", [None, TWO, None])],
    },
    "clips": {
        "train": [
            ("JPEGImages/ant", [ONE, None, TWO]),
            ("JPEGImages/cat", [ONE, None, TWO]),
        ]
    },
}


def opened(name, data) -> Any:
    return Built(name).open(data)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_every_builder_is_tested():
    assert STILLS.keys() | CLIPS.keys() == TREES.keys()


@pytest.mark.parametrize("kind", STILLS)
def test_stills(tmp_path, kind):
    root = getattr(trees, kind)(tmp_path / "files")
    seen = []
    builder = build(kind, tmp_path / "files", tmp_path, progress=lambda *at: seen.append(at))
    assert set(builder.info.splits) == set(STILLS[kind]) and builder.skipped == []
    for split, expected in STILLS[kind].items():
        found = opened(f"{kind}/{split}", tmp_path)
        assert len(found) == len(expected) and (len(expected), len(expected)) in seen
        for still, (image, labels) in zip(found, expected, strict=True):
            assert still.image.dtype == np.uint8 and (still.image == pixels(root / image)).all()
            assert still.labels.dtype == np.uint8 and (still.labels == labels).all()


@pytest.mark.parametrize("kind", CLIPS)
def test_clips(tmp_path, kind):
    root = getattr(trees, kind)(tmp_path / "files")
    builder = build(kind, tmp_path / "files", tmp_path)
    assert set(builder.info.splits) == set(CLIPS[kind])
    for split, expected in CLIPS[kind].items():
        found = opened(f"{kind}/{split}", tmp_path)
        assert len(found) == len(expected)
        for clip, (folder, labels) in zip(found, expected, strict=True):
            files = sorted((root / folder).iterdir())
            assert len(clip) == len(files) == len(labels) and clip.size == trees.SIZE
            assert clip.name.endswith(folder.rpartition("/")[2])
            annotated = [i for i, mask in enumerate(labels) if mask is not None]
            assert list(clip.annotated) == annotated
            for i, (file, mask) in enumerate(zip(files, labels, strict=True)):
                assert (clip.frame(i) == pixels(file)).all()
                assert clip.labels(i) is None if mask is None else (clip.labels(i) == mask).all()


def test_davis2016_is_also_in_the_tree_of_2017(tmp_path):
    trees.davis2017(tmp_path)
    build("davis2016", tmp_path, tmp_path)
    (clip,) = opened("davis2016/train", tmp_path)
    for i, mask in enumerate((TWO, VOIDED)):  # what was void stays void
        assert (clip.labels(i) == np.where(mask == 255, 255, mask > 0)).all()


def test_davis_at_another_resolution_and_name(tmp_path):
    trees.davis2016(tmp_path / "files")
    build("davis2016", tmp_path / "files", tmp_path, name="davis_hd", resolution="1080p")
    (clip,) = opened("davis_hd/train", tmp_path)
    assert len(clip) == 2
    assert [(one.name, one.splits) for one in built_sets(tmp_path)] == [("davis_hd", {"train": 1})]


def test_human_scribbles_are_kept_as_text(tmp_path):
    trees.davis2017(tmp_path / "files")
    build("davis2017", tmp_path / "files", tmp_path, splits=["train", "val"])
    folder = tmp_path / "tfds" / "davis2017"
    found = human_scribbles(folder, "train")
    files = sorted((tmp_path / "files/DAVIS/Scribbles/bear").iterdir())
    assert found == {"bear": tuple(file.read_text() for file in files)}
    assert json.loads(found["bear"][1])["scribbles"][1] == [{"object_id": 2}]
    assert human_scribbles(folder, "val") == {"dogs": ()}
    trees.clips(tmp_path / "own")
    build("clips", tmp_path / "own", tmp_path)
    with pytest.raises(ValueError, match="tfds/clips: has no scribbles"):
        human_scribbles(tmp_path / "tfds" / "clips", "train")


def test_own_clips_with_lists_of_splits(tmp_path):
    trees.clips(tmp_path / "files")
    trees.write_lines(tmp_path / "files/ImageSets/train.txt", "cat")
    trees.write_lines(tmp_path / "files/ImageSets/held.txt", "ant")
    build("clips", tmp_path / "files", tmp_path)
    assert next(built_sets(tmp_path)).splits == {"held": 1, "train": 1}
    assert opened("clips/held", tmp_path)[0].name.endswith("ant")


def test_files_are_stored_as_they_are_where_that_says_the_same(tmp_path):
    from ivs_jax.data.builders.built import Records, newest

    root = trees.voc(tmp_path / "files")
    build("voc", tmp_path / "files", tmp_path)
    (record,) = [Records(newest(tmp_path / "tfds" / "voc"), "train")[i] for i in (0,)]
    assert record["name"] == b"2007_1"
    assert record["image"] == (root / "JPEGImages/2007_1.jpg").read_bytes()
    assert record["labels"] == (root / "SegmentationObject/2007_1.png").read_bytes()


def test_a_mask_of_another_mode_is_stored_as_grey(tmp_path):
    for name, mode in (("bit", "1"), ("rgb", "RGB"), ("deep", "I;16")):
        trees.write(tmp_path / "files/images" / f"{name}.jpg", trees.PHOTO)
        mask = Image.fromarray(ONE.astype(np.uint16) if mode == "I;16" else 255 * ONE)
        (tmp_path / "files/masks").mkdir(exist_ok=True)
        mask = mask if mode == "I;16" else mask.convert(mode)
        mask.save(tmp_path / "files/masks" / f"{name}.png")
    build("images", tmp_path / "files", tmp_path)
    found = opened("images/train", tmp_path)
    assert len(found) == 3 and all((still.labels == ONE).all() for still in found)


def test_a_source_travels_to_other_processes(tmp_path):
    trees.clips(tmp_path / "files")
    build("clips", tmp_path / "files", tmp_path)
    found = pickle.loads(pickle.dumps(opened("clips/train", tmp_path)))
    assert (found[1].labels(2) == TWO).all()


def test_neither_writing_nor_reading_imports_tensorflow(tmp_path):
    trees.clips(tmp_path / "files")
    code = (
        "import sys; from pathlib import Path\n"
        "from ivs_jax.data.builders.build import build\n"
        "from ivs_jax.data.sets import Built\n"
        f"here = Path({str(tmp_path)!r})\n"
        "build('clips', here / 'files', here)\n"
        "print(len(Built('clips/train').open(here)), 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "2 False\n", done.stderr


def test_real_clips(tmp_path, shared_data):
    build("davis2016", shared_data / "davis", tmp_path, splits=["val"])
    found = opened("davis2016/val", tmp_path)
    assert [len(clip) for clip in found] == [25, 80, 60, 80, 91, 70]
    folder = shared_data / "davis" / "Annotations" / "480p" / "hike"
    with Image.open(sorted(folder.glob("*.png"))[9]) as mask:
        assert (found[1].labels(9) == np.asarray(mask)).all()


def test_real_stills(tmp_path, shared_data):
    build("images", shared_data / "stills" / "horses", tmp_path, name="horses")
    found = opened("horses/train", tmp_path)
    assert len(found) == 327
    plain: Any = Stills("stills/horses").open(shared_data)
    for i in (0, 100, 326):
        assert (found[i].image == plain[i].image).all() and (
            found[i].labels == plain[i].labels
        ).all()
