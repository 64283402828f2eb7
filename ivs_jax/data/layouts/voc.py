"""PASCAL VOC's segmentation images with instances (2012: 1,464 training, 1,449 validation)."""

from functools import partial
from pathlib import Path

from ivs_jax.data.layouts.masks import read_values
from ivs_jax.data.layouts.tree import StillFiles, StillTree, read_names


class Voc(StillTree):
    """`SegmentationObject` holds instance ids, 255 the void around objects, even if alone."""

    name = "voc"
    source = (
        "VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012: "
        "JPEGImages/NAME.jpg, SegmentationObject/NAME.png, ImageSets/Segmentation/train.txt and "
        "val.txt."
    )
    roots = ("", "VOC2012", "VOCdevkit/VOC2012")
    parts = ("JPEGImages", "SegmentationObject", "ImageSets/Segmentation")
    splits = {s: f"ImageSets/Segmentation/{s}.txt" for s in ("train", "val")}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        found = []
        for name in read_names(listed):
            mask = root / "SegmentationObject" / f"{name}.png"
            image = root / "JPEGImages" / f"{name}.jpg"
            found.append(StillFiles(name, image, mask, partial(read_values, mask)))
        return found
