"""Tiny data sets on disk, in the layouts that they are published in."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from ivs_jax.io.palette import davis_palette

SIZE = (20, 30)
PHOTO = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
TWO = np.zeros(SIZE, np.uint8)  # two objects
TWO[2:8, 2:12], TWO[10:18, 15:28] = 1, 2
VOIDED = TWO.copy()  # and void along the top
VOIDED[0] = 255
TRIMAP = np.where(TWO == 1, 255, np.where(TWO == 2, 128, 64)).astype(np.uint8)
TRIMAP_LABELS = np.where(TWO == 1, 1, np.where(TWO == 2, 255, 0))


def write(path: Path, array: np.ndarray, *, palette: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array, np.uint8))
    if palette:
        image.putpalette(davis_palette().tobytes())
    image.save(path)
    return path


def write_lines(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def write_mat(path: Path, segmentation: np.ndarray) -> Path:
    """As SBD's: a 1 x 1 struct with the fields in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "Segmentation": segmentation,
        "Boundaries": np.zeros(3),
        "Categories": np.array([[7], [9]], np.uint8),
    }
    savemat(path, {"GTinst": fields}, do_compression=True)
    return path


def sbd(root: Path) -> Path:
    folder = root / "benchmark_RELEASE" / "dataset"
    for name, mask in (("2008_2", TWO), ("2008_1", VOIDED), ("2009_9", TWO)):
        write(folder / "img" / f"{name}.jpg", PHOTO)
        write_mat(folder / "inst" / f"{name}.mat", mask)
    write_lines(folder / "train.txt", "2008_2", "2008_1", "", "2008_2")
    write_lines(folder / "val.txt", "2009_9")
    return folder


def grabcut(root: Path) -> Path:
    folder = root / "GrabCut"
    write(folder / "data_GT" / "banana.JPG", PHOTO)
    write(folder / "data_GT" / "flower.bmp", PHOTO)
    for name in ("banana", "flower"):
        write(folder / "boundary_GT" / f"{name}.bmp", TRIMAP)
    return folder


def berkeley(root: Path) -> Path:
    for name in ("1001", "2002"):
        write(root / "images" / f"{name}.jpg", PHOTO)
    write(root / "masks" / "1001.png", TRIMAP)
    for number in (1, 2):
        write(root / "masks" / f"2002#{number}.png", np.where(number == TWO, 255, 0))
    return root


def voc(root: Path) -> Path:
    folder = root / "VOCdevkit" / "VOC2012"
    for name, mask in (("2007_1", VOIDED), ("2007_2", TWO)):
        write(folder / "JPEGImages" / f"{name}.jpg", PHOTO)
        write(folder / "SegmentationObject" / f"{name}.png", mask, palette=True)
    write_lines(folder / "ImageSets" / "Segmentation" / "train.txt", "2007_1")
    write_lines(folder / "ImageSets" / "Segmentation" / "val.txt", "2007_2")
    return folder


def coco(root: Path) -> Path:
    """A large polygon with a small one on it, a crowd; then no object; then only a crowd."""

    def box(image: int, number: int, top: int, left: int, bottom: int, right: int) -> dict:
        corners = [left, top, right, top, right, bottom, left, bottom]
        return {"id": number, "image_id": image, "segmentation": [corners], "iscrowd": 0}

    def crowd(image: int, number: int) -> dict:
        counts = [0, 20, 580]  # the first column
        code = {"size": list(SIZE), "counts": counts}
        return {"id": number, "image_id": image, "segmentation": code, "iscrowd": 1}

    names = {7: "000007.jpg", 8: "000008.jpg", 9: "000009.jpg"}
    images = [
        {"id": i, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
        for i, name in names.items()
    ]
    annotations = [box(7, 1, 6, 6, 9, 9), crowd(7, 2), box(7, 3, 4, 0, 16, 20), crowd(9, 4)]
    for name in names.values():
        write(root / "val2017" / name, PHOTO)
    file = root / "annotations" / "instances_val2017.json"
    write_lines(file, json.dumps({"images": images, "annotations": annotations}))
    return root


def coco_labels() -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[:, 0] = 255
    labels[4:16, 0:20] = 2
    labels[6:9, 6:9] = 1
    return labels


def images(root: Path) -> Path:
    """Ids with void, ids of two masks of one image, a binary mask."""
    for name in ("many", "one"):
        write(root / "images" / f"{name}.png", PHOTO)
    write(root / "masks" / "many.png", VOIDED, palette=True)
    write(root / "masks" / "one.png", np.where(TWO == 1, 255, 0))
    return root


def saliency(root: Path) -> Path:
    """Smooth borders."""
    write(root / "images" / "a.jpg", PHOTO)
    write(root / "masks" / "a.png", np.where(TWO == 1, 250, np.where(TWO == 2, 127, 3)))
    return root


def clip(
    root: Path, name: str, masks: list[np.ndarray | None], *, resolution: str = "480p"
) -> None:
    """Frames of growing brightness; None is a frame that is not annotated."""
    for number, mask in enumerate(masks):
        stem = f"{5 * number:05d}"
        write(root / "JPEGImages" / resolution / name / f"{stem}.jpg", PHOTO // 2 + 20 * number)
        if mask is not None:
            write(root / "Annotations" / resolution / name / f"{stem}.png", mask, palette=True)


def davis2016(root: Path) -> Path:
    """The tree of 2016: a list of frames, masks of 0 and 255."""
    clip(root, "bear", [np.where(TWO == 1, 255, 0), TWO * 0, np.where(TWO == 2, 255, 0)])
    clip(root, "bear", [np.where(TWO == 1, 255, 0)] * 2, resolution="1080p")
    lines = [f"/{k}/480p/bear/{i:05d}.jpg x" for i in (0, 5, 10) for k in ("JPEGImages",)]
    write_lines(root / "ImageSets" / "480p" / "train.txt", *lines)
    return root


def davis2017(root: Path) -> Path:
    folder = root / "DAVIS"
    clip(folder, "bear", [TWO, VOIDED])
    clip(folder, "dogs", [TWO * 0, TWO, TWO])
    clip(folder, "carousel", [TWO, None, None])
    for split, name in (("train", "bear"), ("val", "dogs"), ("test-dev", "carousel")):
        write_lines(folder / "ImageSets" / "2017" / f"{split}.txt", name)
    write_lines(folder / "ImageSets" / "2016" / "train.txt", "bear")
    for number in (1, 2):
        text = json.dumps({"sequence": "bear", "scribbles": [[], [{"object_id": number}]]})
        write_lines(folder / "Scribbles" / "bear" / f"00{number}.json", text)
    return folder


def youtube_vos(root: Path) -> Path:
    """An object that appears later; frames between the annotated ones."""
    later = np.where(TWO == 2, 2, 0)
    for split, masks in (("train", [TWO * 0, None, later]), ("valid", [None, TWO, None])):
        clip(root / split, "0a1b", masks, resolution="")
        write_lines(root / split / "meta.json", json.dumps({"videos": {"0a1b": {}}}))
    return root


def clips(root: Path) -> Path:
    for name in ("cat", "ant"):
        clip(root, name, [np.where(TWO == 1, 255, 0), None, TWO], resolution="")
    return root
