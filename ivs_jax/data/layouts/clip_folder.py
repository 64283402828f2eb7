"""Your own sequences: `NAME/frames` beside `NAME/masks`, or in the folders of DAVIS's layout."""

from functools import partial
from pathlib import Path

from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import ClipFolders, ClipTree, named_folders, read_names


def clip_folder(folder: Path, *, joined: bool = False) -> list[ClipFolders]:
    """The sequences `folder/NAME/frames` and `folder/NAME/masks`, sorted; frames may lack masks.

    With `joined` all objects of a mask are one. Raises ValueError if there is no sequence.
    """
    names = named_folders(folder) if folder.is_dir() else []
    places = [folder / name for name in names if (folder / name / "frames").is_dir()]
    if not places:
        raise ValueError(f"{folder}: no sequence there, expected <name>/frames and <name>/masks")
    labels = partial(read_ids, joined=joined)
    return [ClipFolders(p.name, p / "frames", p / "masks", labels, False) for p in places]


class OwnClips(ClipTree):
    """A mask holds object ids with 255 for void, or 0 and 255 for one object.

    Splits are the lists `ImageSets/SPLIT.txt`; without them all clips are `train`.
    """

    name = "clips"
    source = (
        "a folder of your own: JPEGImages/CLIP/00000.jpg and Annotations/CLIP/00000.png for the "
        "frames that have masks; ImageSets/train.txt, val.txt, ... with a clip a line if there are "
        "several splits. Give the set a name with --name."
    )
    parts = ("JPEGImages", "Annotations")

    def lists(self, root: Path) -> dict[str, Path]:
        lists = sorted((root / "ImageSets").glob("*.txt"))
        return {path.stem: path for path in lists} or {"train": root / "JPEGImages"}

    def clips(self, root: Path, listed: Path, resolution: str) -> list[ClipFolders]:
        names = named_folders(listed) if listed.is_dir() else read_names(listed)
        frames, masks = (root / part for part in self.parts)
        return [ClipFolders(n, frames / n, masks / n, read_ids, complete=False) for n in names]
