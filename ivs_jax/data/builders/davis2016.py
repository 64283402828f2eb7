"""DAVIS-2016: 30 training and 20 validation sequences, one object in every frame."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import ClipBuilder, Example
from ivs_jax.data.builders.encoded import union
from ivs_jax.data.files import read_names


class Davis2016(ClipBuilder):
    """The masks of DAVIS-2016, or the union of the objects in a tree of DAVIS-2017."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "DAVIS-data.zip from davischallenge.org/davis2016/code.html or DAVIS-2017-trainval-480p.zip"
        " from davischallenge.org/davis2017/code.html: JPEGImages/480p/SEQUENCE/00000.jpg, "
        "Annotations/480p/SEQUENCE/00000.png, ImageSets/480p/train.txt or ImageSets/2016/train.txt."
    )
    ROOTS = ("", "DAVIS")
    PARTS = ("JPEGImages", "Annotations", "ImageSets")
    SPLITS = {"train": "ImageSets/2016/train.txt", "val": "ImageSets/2016/val.txt"}
    RESOLUTION = "480p"

    def splits_of(self, root: Path) -> dict[str, Path]:
        """As in DAVIS-2017's tree, else as in the tree of 2016."""
        lists = {s: root / "ImageSets" / "480p" / f"{s}.txt" for s in self.SPLITS}
        return {s: p for s, p in lists.items() if p.is_file()} | super().splits_of(root)

    def examples(self, root: Path, listed: Path) -> list[Example]:
        # A line is a sequence, or /JPEGImages/480p/bear/00000.jpg of each of its frames.
        lines = read_names(listed)
        names = dict.fromkeys(line.split("/")[-2] if "/" in line else line for line in lines)
        frames, masks = (root / kind / self.resolution for kind in ("JPEGImages", "Annotations"))
        clip = partial(self.clip, complete=True, rule=union)
        return [(name, partial(clip, frames / name, masks / name)) for name in names]
