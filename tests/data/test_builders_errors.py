"""Files that are not as published: errors that name set and file, or `skip_bad`."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.builders.build import build
from ivs_jax.data.builders.built import built_sets
from ivs_jax.data.layouts.published import TREES
from ivs_jax.data.sets import Built
from tests.data import trees
from tests.data.trees import PHOTO, TWO, write, write_lines


@pytest.fixture
def files(tmp_path):
    return tmp_path / "files"


def fails(kind, files, message, **options):
    """The build raises `message` in one line and leaves no set behind."""
    with pytest.raises(ValueError, match=message) as error:
        build(kind, files, files.parent, **options)
    assert "\n" not in str(error.value)
    assert not list(built_sets(files.parent))
    assert not list((files.parent / "tfds").glob("*/*"))


@pytest.mark.parametrize("kind", TREES)
def test_a_wrong_tree_is_told_what_is_expected_and_where_it_is_from(kind, files):
    fails(kind, files, rf"files: no .*no such folder.*{kind} needs ")
    (files / "readme").mkdir(parents=True)
    fails(kind, files, rf"files: no .*found readme\. {kind} needs .*\.")


def test_an_unknown_set_split_name_or_resolution(files):
    trees.voc(files)
    fails("voc2012", files, "no data set 'voc2012', expected one of sbd, grabcut")
    fails("voc", files, "VOC2012: no split 'test' of voc, found train, val", splits=["test"])
    fails("voc", files, "name 'A b': expected small letters", name="A b")
    fails("voc", files, "voc: has no resolutions to choose from, got '480p'", resolution="480p")


def test_no_list_of_any_split(files):
    root = trees.sbd(files)
    for name in ("train.txt", "val.txt"):
        (root / name).unlink()
    fails("sbd", root, r"dataset: no list of a split \(train\.txt, val\.txt\), found img, inst\.")
    fails("sbd", files, r"files: no img, found benchmark_RELEASE\. sbd needs")


def test_an_empty_split(files):
    root = trees.voc(files)
    file = write_lines(root / "ImageSets" / "Segmentation" / "val.txt", "")
    fails("voc", files, f"{file}: the split is empty")
    shutil.rmtree(root)
    trees.youtube_vos(files)
    shutil.rmtree(files / "valid" / "JPEGImages" / "0a1b")
    fails("youtube_vos", files, "youtube_vos/valid: no usable record, 0 skipped")


def tear(path):
    path.write_bytes(path.read_bytes()[:-40])


def swap_size(path):
    write(path, np.zeros((30, 20)))


STILL_TROUBLE = {
    "torn image": (lambda r: tear(r / "JPEGImages/2007_1.jpg"), r"2007_1\.jpg: not a readable"),
    "torn mask": (lambda r: tear(r / "SegmentationObject/2007_1.png"), r"2007_1\.png: not a read"),
    "no image": (lambda r: (r / "JPEGImages/2007_1.jpg").unlink(), r"2007_1\.jpg: no such file"),
    "no mask": (lambda r: (r / "SegmentationObject/2007_1.png").unlink(), r"2007_1\.png: no such"),
    "sizes": (
        lambda r: swap_size(r / "SegmentationObject/2007_1.png"),
        r"2007_1\.png: the mask is \(30, 20\), its image is \(20, 30\)",
    ),
    "colours": (
        lambda r: write(r / "SegmentationObject/2007_1.png", PHOTO),
        r"2007_1\.png: expected a grey or index mask, found colours",
    ),
    "nothing": (
        lambda r: write(r / "SegmentationObject/2007_1.png", TWO * 0),
        r"2007_1\.png: no object in the mask",
    ),
    "only void": (
        lambda r: write(r / "SegmentationObject/2007_1.png", np.where(TWO == 1, 255, 0)),
        r"2007_1\.png: no object in the mask",
    ),
}


@pytest.mark.parametrize("trouble", STILL_TROUBLE)
def test_a_bad_still_stops_or_is_skipped_and_listed(files, trouble):
    harm, message = STILL_TROUBLE[trouble]
    root = trees.voc(files)
    write_lines(root / "ImageSets" / "Segmentation" / "train.txt", "2007_2", "2007_1")
    harm(root)
    fails("voc", files, rf"^voc/train: .*{message}")
    builder = build("voc", files, files.parent, skip_bad=True)
    ((split, name, reason),) = builder.skipped
    assert (split, name) == ("train", "2007_1") and re.search(message, reason)
    listed = (files.parent / "tfds/voc/1.0.0/skipped.txt").read_text()
    assert listed == f"train\t2007_1\t{reason}\n"
    assert next(built_sets(files.parent)).splits == {"train": 1, "val": 1}


CLIP_TROUBLE = {
    "no frames": (lambda r: shutil.rmtree(r / "JPEGImages/480p/bear"), "480p/bear: no such folder"),
    "torn": (lambda r: tear(r / "JPEGImages/480p/bear/00005.jpg"), r"bear/00005\.jpg: not a read"),
    "frame": (lambda r: swap_size(r / "JPEGImages/480p/bear/00005.jpg"), r"00005\.jpg: the frame"),
    "mask": (lambda r: swap_size(r / "Annotations/480p/bear/00005.png"), r"00005\.png: the mask"),
    "missing": (
        lambda r: (r / "Annotations/480p/bear/00005.png").unlink(),
        r"Annotations/480p/bear: no 00005\.png \(1 of 2 missing\)",
    ),
    "lost": (
        lambda r: (r / "JPEGImages/480p/bear/00005.jpg").unlink(),
        r"bear/00005\.png: a mask without frame \(1 in all\)",
    ),
    "zero objects": (
        lambda r: trees.clip(r, "bear", [TWO * 0, TWO * 0]),
        "Annotations/480p/bear: no object in any mask of the clip",
    ),
    "scribbles of another": (
        lambda r: write_lines(
            r / "Scribbles/bear/001.json", json.dumps({"sequence": "ant", "scribbles": []})
        ),
        r"001\.json: scribbles of 'ant', expected 'bear'",
    ),
    "scribbles": (
        lambda r: write_lines(r / "Scribbles/bear/001.json", "{"),
        r"001\.json: not a file of scribbles",
    ),
}


@pytest.mark.parametrize("trouble", CLIP_TROUBLE)
def test_a_bad_clip_stops_or_is_skipped_and_listed(files, trouble):
    harm, message = CLIP_TROUBLE[trouble]
    root = trees.davis2017(files)
    write_lines(root / "ImageSets" / "2017" / "train.txt", "bear", "dogs")
    harm(root)
    fails("davis2017", files, rf"^davis2017/train: .*{message}")
    builder = build("davis2017", files, files.parent, skip_bad=True)
    assert [(one.split, one.name) for one in builder.skipped] == [("train", "bear")]
    assert re.search(message, builder.skipped[0].reason)
    assert len(Built("davis2017/train").open(files.parent)) == 1


def test_a_split_of_which_all_is_bad_is_an_error_even_when_skipping(files):
    root = trees.davis2017(files)
    shutil.rmtree(root / "JPEGImages" / "480p" / "dogs")
    message = r"davis2017/val: no usable record, 1 skipped \(.*val.txt\)"
    fails("davis2017", files, message, skip_bad=True)


def test_images_and_masks_without_a_partner(files):
    trees.images(files)
    write(files / "images" / "alone.png", PHOTO)
    fails("images", files, r"images/train: .*masks/alone\.png: no such file, .*images/alone\.png")
    (files / "images" / "alone.png").unlink()
    write(files / "masks" / "lost.png", TWO)
    fails("images", files, r"images/train: .*images/lost\.jpg: no such file, .*masks/lost\.png")
    assert len(build("images", files, files.parent, skip_bad=True).skipped) == 1


def test_a_torn_mat_file(files):
    root = trees.sbd(files)
    tear(root / "inst" / "2008_1.mat")
    fails("sbd", files, r"sbd/train: .*2008_1\.mat: no readable GTinst\.Segmentation")


def test_coco_lists_that_are_no_lists_and_masks_that_are_no_masks(files):
    trees.coco(files)
    list_of = files / "annotations" / "instances_val2017.json"
    whole = json.loads(list_of.read_text())
    whole["annotations"][0]["segmentation"] = [[1, 2]]
    list_of.write_text(json.dumps(whole))
    fails("coco", files, r"coco/val: .*000007\.jpg: annotation 1 has no readable mask")
    whole["annotations"] = [whole["annotations"][2]] * 255
    list_of.write_text(json.dumps(whole))
    fails("coco", files, r"000007\.jpg: 255 objects, expected at most 254")
    whole["images"][0]["height"] = 40
    whole["annotations"] = whole["annotations"][:1]
    list_of.write_text(json.dumps(whole))
    fails("coco", files, r"000007\.jpg: the mask is \(40, 30\), its image is \(20, 30\)")
    list_of.write_text("{}")
    fails("coco", files, r"instances_val2017\.json: no COCO instances")
    trees.coco(files)
    shutil.rmtree(files / "val2017")
    fails("coco", files, r"val2017: no such folder, but its list .* is there")


def test_a_mask_with_ids_that_do_not_fit(files):
    trees.images(files)
    Image.fromarray(TWO.astype(np.uint16) * 200).save(files / "masks" / "many.png")
    fails("images", files, r"many\.png: ids up to 400, expected at most 254 \(255 void\)")


def test_a_set_is_not_built_twice(files):
    trees.images(files)
    build("images", files, files.parent)
    with pytest.raises(ValueError, match=r"tfds/images/1\.0\.0: images is built already; remove"):
        build("images", files, files.parent)


@pytest.mark.parametrize("cut", [0, 70_000, -100])
def test_a_damaged_record_file_names_file_and_set(files, cut):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for name in ("many", "one"):
        write(files / "images" / f"{name}.png", noise)
        write(files / "masks" / f"{name}.png", np.ones((200, 300)))
    build("images", files, files.parent)
    (shard,) = (files.parent / "tfds/images/1.0.0").glob("images-train*")
    data = shard.read_bytes()
    shard.write_bytes(data[:cut])
    found = Built("images/train").open(files.parent)
    with pytest.raises(ValueError, match=rf"{shard.name}: record 1 of images/train is damaged"):
        found[1]
    shard.unlink()
    with pytest.raises(ValueError, match=rf"{shard.name}: missing, .* of images/train"):
        Built("images/train").open(files.parent)


def test_a_build_that_was_killed_is_not_a_set(files):
    trees.images(files)
    builder = build("images", files, files.parent)
    whole = builder.data_path
    shutil.copytree(whole, whole.parent / "incomplete.7T5PXV_2.0.0")
    shutil.copytree(whole, files.parent / "tfds" / "other" / "incomplete.7T5PXV_1.0.0")
    assert [one.folder.name for one in built_sets(files.parent)] == ["1.0.0"]
    with pytest.raises(ValueError, match="tfds/other: no built set"):
        Built("other/train").open(files.parent)


def test_the_newest_version_is_read(files):
    trees.images(files)
    first = build("images", files, files.parent).data_path
    for version in ("10.0.0", "9.0.0"):
        shutil.copytree(first, first.parent / version)
    assert [one.folder.name for one in built_sets(files.parent)] == ["10.0.0"]


def test_reading_what_was_never_built(tmp_path):
    with pytest.raises(ValueError, match="tfds/none: no built set"):
        Built("none/train").open(tmp_path)
    trees.images(tmp_path / "files")
    build("images", tmp_path / "files", tmp_path)
    with pytest.raises(ValueError, match=r"images/1\.0\.0: no split 'val', expected one of train"):
        Built("images/val").open(tmp_path)
    (tmp_path / "tfds/images/1.0.0/features.json").write_text("{")
    with pytest.raises(ValueError, match=r"images/1\.0\.0: not a readable TFDS set"):
        Built("images/train").open(tmp_path)
