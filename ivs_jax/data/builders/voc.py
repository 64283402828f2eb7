"""PASCAL VOC's segmentation images with instances (2012: 1,464 training, 1,449 validation)."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import Example, StillBuilder
from ivs_jax.data.files import read_names


class Voc(StillBuilder):
    """`SegmentationObject` holds instance ids, 255 the void around objects."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012: "
        "JPEGImages/NAME.jpg, SegmentationObject/NAME.png, ImageSets/Segmentation/train.txt and "
        "val.txt."
    )
    ROOTS = ("", "VOC2012", "VOCdevkit/VOC2012")
    SPLITS = {s: f"ImageSets/Segmentation/{s}.txt" for s in ("train", "val")}
    PARTS = ("JPEGImages", "SegmentationObject", "ImageSets/Segmentation")

    def examples(self, root: Path, listed: Path) -> list[Example]:
        images, masks = root / "JPEGImages", root / "SegmentationObject"
        return [
            (name, partial(self.pair, images / f"{name}.jpg", masks / f"{name}.png"))
            for name in read_names(listed)
        ]
