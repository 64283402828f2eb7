"""YouTube-VOS: 3,471 training and 474 or 507 validation clips, every fifth frame annotated."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import ClipBuilder, Example


class YoutubeVos(ClipBuilder):
    """`valid` has the mask of each object's first frame only."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "train.zip and valid.zip of 2018 or 2019 from youtube-vos.org/dataset/vos (an account is "
        "needed): train/JPEGImages/CLIP/00000.jpg, train/Annotations/CLIP/00000.png, and the same "
        "in valid/."
    )
    ROOTS = ("", "YouTubeVOS", "youtube_vos")
    SPLITS = {"train": "train/JPEGImages", "valid": "valid/JPEGImages"}

    def examples(self, root: Path, listed: Path) -> list[Example]:
        masks = listed.parent / "Annotations"
        if not masks.is_dir():
            raise ValueError(f"{masks}: no such folder beside {listed.name}")
        return [
            (folder.name, partial(self.clip, folder, masks / folder.name, complete=False))
            for folder in sorted(listed.iterdir())
            if folder.is_dir()
        ]
