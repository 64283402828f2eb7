"""Any set of clips in the layout of DAVIS: your own."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import ClipBuilder, Example
from ivs_jax.data.builders.encoded import ids_or_binary
from ivs_jax.data.files import read_names


class Clips(ClipBuilder):
    """A mask holds object ids with 255 for void, or 0 and 255 for one object.

    Splits are the lists `ImageSets/SPLIT.txt`; without them all clips are `train`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "a folder of your own: JPEGImages/CLIP/00000.jpg and Annotations/CLIP/00000.png for the "
        "frames that have masks; ImageSets/train.txt, val.txt, ... with a clip a line if there are "
        "several splits. Give the set a name with --name."
    )
    PARTS = ("JPEGImages", "Annotations")

    def splits_of(self, root: Path) -> dict[str, Path]:
        lists = sorted((root / "ImageSets").glob("*.txt"))
        return {path.stem: path for path in lists} or {"train": root / "JPEGImages"}

    def examples(self, root: Path, listed: Path) -> list[Example]:
        folders = sorted(path.name for path in (root / "JPEGImages").iterdir() if path.is_dir())
        names = folders if listed.is_dir() else read_names(listed)
        clip = partial(self.clip, complete=False, rule=ids_or_binary)
        return [
            (name, partial(clip, root / "JPEGImages" / name, root / "Annotations" / name))
            for name in names
        ]
