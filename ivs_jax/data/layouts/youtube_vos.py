"""YouTube-VOS: 3,471 training and 474 or 507 validation clips, every fifth frame annotated."""

from pathlib import Path

from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import ClipFolders, ClipTree, named_folders


class YoutubeVos(ClipTree):
    """`valid` has the mask of each object's first frame only."""

    name = "youtube_vos"
    source = (
        "train.zip and valid.zip of 2018 or 2019 from youtube-vos.org/dataset/vos (an account is "
        "needed): train/JPEGImages/CLIP/00000.jpg, train/Annotations/CLIP/00000.png, and the same "
        "in valid/."
    )
    roots = ("", "YouTubeVOS", "youtube_vos")
    splits = {"train": "train/JPEGImages", "valid": "valid/JPEGImages"}

    def clips(self, root: Path, listed: Path, resolution: str) -> list[ClipFolders]:
        masks = listed.parent / "Annotations"
        if not masks.is_dir():
            raise ValueError(f"{masks}: no such folder beside {listed.name}")
        return [
            ClipFolders(name, listed / name, masks / name, read_ids, complete=False)
            for name in named_folders(listed)
        ]
