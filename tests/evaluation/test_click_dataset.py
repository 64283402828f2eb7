"""Click benchmarks in their published layouts, as tiny trees on disk."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ivs_jax.data.layouts.image_folder import read_single
from ivs_jax.evaluation.click_dataset import LAYOUTS, open_click_dataset
from tests.data.trees import write_mat

BOX = np.zeros((20, 30), bool)
BOX[5:15, 5:25] = True
RIM = np.zeros((20, 30), bool)
RIM[4:16, 4:26] = True
RIM &= ~BOX
PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, *[90] * 759]


def write(path, array, *, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array, np.uint8))
    if palette:
        image.putpalette(PALETTE)
    image.save(path)


def same(found, expected):
    return found is not None and np.array_equal(found, expected)


def two_boxes():
    ids = np.zeros((20, 30), np.uint8)
    ids[2:8, 2:12], ids[10:18, 15:28] = 1, 2
    return ids


@pytest.mark.parametrize("suffix", ["bmp", "png"])
def test_grabcut(tmp_path, suffix):
    trimap = np.where(BOX, 255, np.where(RIM, 128, 0))
    write(tmp_path / "data_GT" / "banana.JPG", PHOTO)
    write(tmp_path / "boundary_GT" / f"banana.{suffix}", trimap)
    write(tmp_path / "data_GT" / "flower.bmp", PHOTO)
    write(tmp_path / "boundary_GT" / f"flower.{suffix}", np.where(BOX, 255, 0))
    data = open_click_dataset(tmp_path)
    assert data.name == "GrabCut" and data.names == ("banana", "flower")
    banana, flower = data
    assert same(banana.mask, BOX) and same(banana.ignore, RIM)
    assert (flower.image == PHOTO).all()
    assert flower.ignore is None


def test_berkeley_with_two_objects_in_an_image(tmp_path):
    root = tmp_path / "Berkeley"
    ids = two_boxes()
    write(root / "images" / "1001.jpg", PHOTO)
    write(root / "images" / "2002.jpg", PHOTO)
    write(root / "masks" / "1001.png", np.where(BOX, 255, np.where(RIM, 128, 0)))
    write(root / "masks" / "2002#1.png", np.where(ids == 1, 255, 0))
    write(root / "masks" / "2002#2.png", np.where(ids == 2, 255, 0))
    data = open_click_dataset(root)
    assert data.name == "Berkeley" and data.names == ("1001", "2002#1", "2002#2")
    assert same(data[0].ignore, RIM) and same(data[0].mask, BOX)
    assert [(sample.mask == (ids == i)).all() for i, sample in enumerate(data)][1:] == [True, True]
    assert data.skipped == ()


def hard_berkeley(root):
    """Masks as the four of Berkeley that are no plain trimaps; all have BOX, RIM is ignored."""
    stray = np.repeat(np.where(BOX, 255, 0)[..., None], 3, axis=-1)
    stray[0, 0], stray[0, 1], stray[6, 6] = (250, 3, 2), (1, 1, 0), (9, 255, 254)
    rimmed = stray.copy()
    rimmed[RIM] = 128
    masks = {
        "101087": stray,
        "163014": rimmed,
        "376043": np.dstack([stray, np.full(BOX.shape, 255)]),  # with alpha
        "8023": np.where(BOX, np.where(np.arange(30) % 2, 197, 243), 0),
    }
    for name, mask in masks.items():
        write(root / "images" / f"{name}.jpg", PHOTO)
        write(root / "masks" / f"{name}.png", mask)


@pytest.mark.parametrize("folder", ["Berkeley", "downloads/berkeley"])
def test_berkeley_is_read_by_the_rule_of_its_authors(tmp_path, folder):
    root = tmp_path / folder
    hard_berkeley(root)
    data = open_click_dataset(root)
    assert data.name == "Berkeley" and data.skipped == () and len(data) == 4
    for sample in data:
        assert same(sample.mask, BOX)
        assert (sample.name == "163014") == (sample.ignore is not None)
    assert same(data[1].ignore, RIM)


def test_berkeley_under_another_name_is_asked_for(tmp_path):
    hard_berkeley(tmp_path / "set")
    guessed = open_click_dataset(tmp_path / "set")
    for number in range(4):
        with pytest.raises(ValueError, match=r"\.png: expected .*found .*--layout berkeley"):
            guessed[number]
    told = open_click_dataset(tmp_path / "set", layout="berkeley")
    assert all(same(sample.mask, BOX) for sample in told)


def test_a_trimap_with_a_palette_is_read_by_its_colours(tmp_path):
    write(tmp_path / "data_GT" / "banana.jpg", PHOTO)
    (tmp_path / "boundary_GT").mkdir()
    indices = Image.fromarray(np.where(BOX, 2, np.where(RIM, 1, 0)).astype(np.uint8))
    indices.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
    indices.save(tmp_path / "boundary_GT" / "banana.png")
    (banana,) = open_click_dataset(tmp_path)
    assert same(banana.mask, BOX) and same(banana.ignore, RIM)


def test_davis_takes_the_union_of_the_objects(tmp_path):
    ids = two_boxes()
    for name, palette in (("camel_00010", True), ("dogs_00030", False)):
        write(tmp_path / "img" / f"{name}.jpg", PHOTO)
        colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]])[ids]
        write(tmp_path / "gt" / f"{name}.png", ids if palette else colours, palette=palette)
    data = open_click_dataset(tmp_path)
    assert len(data) == 2
    for sample in data:
        assert (sample.mask == (ids > 0)).all() and sample.ignore is None


def test_sbd_has_every_instance_of_its_validation_images(tmp_path):
    ids = two_boxes()
    void = ids.copy()
    void[0, :] = 255
    for name, segmentation in (("2008_2", ids), ("2008_1", void), ("2009_9", ids)):
        write(tmp_path / "img" / f"{name}.jpg", PHOTO)
        write_mat(tmp_path / "inst" / f"{name}.mat", segmentation)
    (tmp_path / "val.txt").write_text("2008_2\n2008_1\n\n2008_2\n")
    (tmp_path / "train.txt").write_text("2009_9\n")
    data = open_click_dataset(tmp_path)
    assert data.name == "SBD" and data.names == ("2008_2#1", "2008_2#2", "2008_1#1", "2008_1#2")
    for sample, number in zip(data, (1, 2, 1, 2), strict=True):
        assert (sample.mask == (ids == number)).all() and sample.ignore is None
        assert sample.image.shape == (20, 30, 3)


def test_sbd_lists_what_it_cannot_use(tmp_path):
    good = tmp_path / "inst" / "good.mat"
    write_mat(good, two_boxes())
    write_mat(tmp_path / "inst" / "none.mat", two_boxes() * 0)
    write_mat(tmp_path / "inst" / "unseen.mat", two_boxes())
    write_mat(tmp_path / "inst" / "colour.mat", PHOTO)
    savemat(tmp_path / "inst" / "other.mat", {"GTcls": {"Segmentation": two_boxes()}})
    whole = good.read_bytes()
    for cut in (0, 60, 130, 150, len(whole) - 30):
        (tmp_path / "inst" / f"torn{cut}.mat").write_bytes(whole[:cut])
    (tmp_path / "inst" / "v73.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" * 9)
    names = [path.stem for path in (tmp_path / "inst").iterdir()] + ["absent"]
    for name in set(names) - {"unseen"}:
        write(tmp_path / "img" / f"{name}.jpg", PHOTO)
    (tmp_path / "val.txt").write_text("\n".join(names))
    data = open_click_dataset(tmp_path)
    reasons = dict(data.skipped)
    assert data.names == ("good#1", "good#2") and set(reasons) == set(names) - {"good"}
    assert "none.mat: no object in the mask" in reasons.pop("none")
    assert "unseen.jpg: no such file" in reasons.pop("unseen")
    assert "absent.mat: no such file" in reasons.pop("absent")
    for name, reason in reasons.items():
        assert f"{name}.mat" in reason and "GTinst.Segmentation" in reason
    (tmp_path / "val.txt").write_text("absent")
    with pytest.raises(ValueError, match=r"layout sbd\), 1 skipped; first: absent: .*absent.mat"):
        open_click_dataset(tmp_path)


def test_instances_are_objects_only_when_asked_for(tmp_path):
    ids = two_boxes() * 2  # 2 and 4
    ids[0] = 255
    for name, mask in (("many", ids), ("none", ids * 0), ("torn", ids)):
        write(tmp_path / "images" / f"{name}.png", PHOTO)
        write(tmp_path / "masks" / f"{name}.png", mask, palette=True)
    (tmp_path / "masks" / "torn.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"many.png: .*values 0, 2, 4, 255.*--instances"):
        open_click_dataset(tmp_path)[0]
    data = open_click_dataset(tmp_path, instances=True)
    assert data.names == ("many#2", "many#4")
    reasons = dict(data.skipped)
    assert "none.png: no object in the mask" in reasons["none"] and "torn" in reasons
    for sample, number in zip(data, (2, 4), strict=True):
        assert (sample.mask == (ids == number)).all() and (sample.ignore == (ids == 255)).all()
    write(tmp_path / "davis" / "img" / "a.png", PHOTO)
    write(tmp_path / "davis" / "gt" / "a.png", BOX)
    with pytest.raises(ValueError, match="images/ and masks/, found davis"):
        open_click_dataset(tmp_path / "davis", instances=True)


@pytest.mark.parametrize(
    ("values", "object_value", "ignored"),
    [
        ((0, 1), 1, None),
        ((0, 7), 7, None),
        ((0, 128, 255), 255, 128),
        ((0, 1, 255), 1, 255),
        ((64, 128, 255), 255, 128),
    ],
)
def test_values_of_a_single_mask(tmp_path, values, object_value, ignored):
    grey = np.resize(np.array(values, np.uint8), (4, 6))
    for name in ("mask.png", "mask.bmp"):
        write(tmp_path / name, grey)
        labels = read_single(tmp_path / name)
        assert ((labels == 1) == (grey == object_value)).all()
        assert ((labels == 255) == (grey == (-1 if ignored is None else ignored))).all()


def test_a_mask_of_16_bits_keeps_its_ids(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.where(BOX, 300, 0).astype(np.uint16)).save(path)
    assert (read_single(path) == BOX).all()


def test_a_colour_mask_is_an_error_where_ids_are_expected(tmp_path):
    write(tmp_path / "mask.png", PHOTO)
    with pytest.raises(ValueError, match=r"mask.png: expected a grey or index mask, found colours"):
        read_single(tmp_path / "mask.png")


def test_files_without_a_partner_are_listed_and_hidden_ones_ignored(tmp_path):
    root = tmp_path / "set"
    for path in ("images/one.png", "images/alone.png", "masks/one.png", "masks/lost.png"):
        write(root / path, PHOTO if "images" in path else BOX)
    (root / "masks" / ".DS_Store").write_bytes(b"x")
    data = open_click_dataset(root)
    assert data.name == "set" and data.names == ("one",)
    reasons = dict(data.skipped)
    assert list(reasons) == ["alone", "lost"]
    assert "masks/alone.png: no such file, expected for" in reasons["alone"]
    assert "images/lost.jpg: no such file, expected for" in reasons["lost"]
    write(root / "masks" / "one.bmp", BOX)
    with pytest.raises(ValueError, match=r"one.png: same name as one.bmp"):
        open_click_dataset(root)


def test_parts_of_a_data_set(tmp_path):
    for name in "abc":
        write(tmp_path / "images" / f"{name}.png", PHOTO)
        write(tmp_path / "masks" / f"{name}.png", BOX)
    data = open_click_dataset(tmp_path)
    assert data[:2].names == ("a", "b") and data[-1].name == "c" and data[:0].names == ()
    some = data.only(["c", "x", "a"])
    assert some.names == ("a", "c") and some.skipped == (("x", "not in the data set"),)


def test_folders_without_data_are_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}: found an empty folder, .*sbd: img, inst"):
        open_click_dataset(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        open_click_dataset(tmp_path / "none")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match=rf"{tmp_path}: no image with a mask .*masks\), 0 skipped"):
        open_click_dataset(tmp_path)


def test_a_layout_that_is_unknown_absent_or_not_the_only_one(tmp_path):
    for name in ("images", "masks", "img", "gt"):
        write(tmp_path / name / "a.png", BOX)
    with pytest.raises(ValueError, match="the layouts davis and masks, choose one"):
        open_click_dataset(tmp_path)
    for layout in ("davis", "masks"):
        assert open_click_dataset(tmp_path, layout=layout).names == ("a",)
    with pytest.raises(ValueError, match=r"sbd has img, inst, val.txt, no inst in gt, images, img"):
        open_click_dataset(tmp_path, layout="sbd")
    with pytest.raises(
        ValueError, match="layout 'voc': expected one of grabcut, berkeley, davis, masks"
    ):
        open_click_dataset(tmp_path, layout="voc")


def test_the_command_line_offers_every_layout(capsys):
    from ivs_jax.cli import main

    with pytest.raises(SystemExit):
        main(["eval", "noc", "--help"])
    text = capsys.readouterr().out
    assert all(layout in text for layout in LAYOUTS)
