"""Berkeley: 96 images with 100 objects, a click benchmark; a record is one object."""

from pathlib import Path

from ivs_jax.data.layouts.grabcut import read_trimap
from ivs_jax.data.layouts.image_folder import IMAGES, MASKS, paired
from ivs_jax.data.layouts.tree import StillFiles, StillTree


class Berkeley(StillTree):
    """Masks are read as GrabCut's; an image with two objects has the masks `NAME#1`, `NAME#2`."""

    name = "berkeley"
    title = "Berkeley"
    source = (
        "Berkeley.zip of the releases of github.com/saic-vul/fbrs_interactive_segmentation: "
        "images/NAME.jpg and masks/NAME.png."
    )
    roots = ("", "Berkeley")
    parts = (IMAGES, MASKS)
    splits = {"test": IMAGES}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / MASKS, read_trimap)
