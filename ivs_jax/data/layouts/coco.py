"""COCO's instances as maps of ids: crowds are void, small objects lie on top of large ones."""

import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as codes

from ivs_jax.data.layouts.masks import VOID
from ivs_jax.data.layouts.tree import StillFiles, StillTree
from ivs_jax.io import decode_rle

Annotation = dict[str, Any]
Size = tuple[int, int]


class Coco(StillTree):
    """Images with at least one object that is not a crowd; ids in the order of the file."""

    name = "coco"
    source = (
        "train2017.zip, val2017.zip and annotations_trainval2017.zip from cocodataset.org: "
        "train2017/NAME.jpg, val2017/NAME.jpg, annotations/instances_train2017.json and "
        "instances_val2017.json."
    )
    roots = ("", "coco")
    parts = ("annotations",)
    splits = {s: f"annotations/instances_{s}2017.json" for s in ("train", "val")}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        images, annotations = _read_instances(listed)
        folder = root / listed.stem.removeprefix("instances_")
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder, but its list {listed} is there")
        found = []
        for image in images:
            file, size = folder / image["file_name"], (image["height"], image["width"])
            if _objects(of_image := annotations[image["id"]]):
                labels = partial(_labels, file, size, of_image)
                found.append(StillFiles(file.stem, file, file, labels))
        return found


def _read_instances(file: Path) -> tuple[list[dict[str, Any]], dict[int, list[Annotation]]]:
    """The images, and the annotations of each image id."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        images, listed = content["images"], content["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: no COCO instances ({error!r})") from error
    annotations = defaultdict(list)
    for annotation in listed:
        annotations[annotation["image_id"]].append(annotation)
    return images, annotations


def _objects(found: list[Annotation]) -> list[Annotation]:
    return [a for a in found if not a.get("iscrowd")]


def _labels(file: Path, size: Size, found: list[Annotation]) -> np.ndarray:
    """Ids `[H, W]` int32 of the annotations of an image."""
    labels = np.zeros(size, np.int32)
    objects = _objects(found)
    for crowd in (a for a in found if a.get("iscrowd")):
        labels[_decoded(file, size, crowd)] = VOID
    if len(objects) >= VOID:
        raise ValueError(f"{file}: {len(objects)} objects, expected at most {VOID - 1}")
    masks = {n: _decoded(file, size, a) for n, a in enumerate(objects, 1)}
    for number, mask in sorted(masks.items(), key=lambda item: -int(item[1].sum())):
        labels[mask] = number
    return labels


def _decoded(file: Path, size: Size, annotation: Annotation) -> np.ndarray:
    """The mask `[H, W]` bool of polygons or of a run-length code, as text or as a list."""
    code = annotation["segmentation"]
    try:
        if isinstance(code, list):
            code = codes.merge(codes.frPyObjects(code, *size))
        elif isinstance(code["counts"], list):
            code = codes.frPyObjects(code, *size)
        mask = decode_rle(code).astype(bool)
    except Exception as error:  # pycocotools raises whatever its C code meets
        raise ValueError(
            f"{file}: annotation {annotation.get('id')} has no readable mask ({error!r})"
        ) from error
    if mask.shape != tuple(size):
        raise ValueError(f"{file}: annotation {annotation.get('id')} is {mask.shape}, not {size}")
    return mask
