"""Any set of `images/` beside `masks/`, matched by stem: saliency sets, your own."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import Example, Record, StillBuilder
from ivs_jax.data.builders.encoded import Rule, ids_or_binary, upper_half
from ivs_jax.data.files import by_stem


class Images(StillBuilder):
    """A mask holds instance ids with 255 for void, or 0 and 255 for one object.

    `<name>#1.png`, `<name>#2.png`, ... are several masks of the image `<name>`: a record each.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "a folder of your own: images/NAME.jpg and masks/NAME.png, whose values are instance ids "
        "(255 void), or 0 and 255. Give the set a name with --name."
    )
    IMAGES, MASKS = "images", "masks"
    RULE: Rule = staticmethod(ids_or_binary)
    SPLITS = {"train": "images"}
    PARTS = ("images", "masks")

    def examples(self, root: Path, listed: Path) -> list[Example]:
        images, masks = by_stem(listed), by_stem(root / self.MASKS)
        owner = {m: m if m in images else m.rpartition("#")[0] for m in masks}
        alone = images.keys() - owner.values()
        return [
            (name, partial(self._record, name, images.get(owner.get(name, name)), masks.get(name)))
            for name in sorted(masks.keys() | alone)
        ]

    def _record(self, name: str, image: Path | None, mask: Path | None) -> Record:
        if mask is None:
            raise ValueError(f"{image}: an image without mask, expected {self.MASKS}/{name}.png")
        if image is None:
            raise ValueError(f"{mask}: a mask without image, expected {self.IMAGES}/{name}.jpg")
        return self.pair(image, mask, self.RULE)


class Saliency(Images):
    """A mask is grey, its borders may be smooth: from 128 on is the object."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "a saliency set (DUTS, MSRA10K, ECSSD, ...): images/NAME.jpg and masks/NAME.png, grey "
        "masks whose upper half is the object. Give the set a name with --name."
    )
    RULE = staticmethod(upper_half)
