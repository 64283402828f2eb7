"""GrabCut: 50 images with one object each, a click benchmark."""

from pathlib import Path

import numpy as np

from ivs_jax.data.layouts.image_folder import paired
from ivs_jax.data.layouts.masks import VOID, read_image
from ivs_jax.data.layouts.tree import StillFiles, StillTree
from ivs_jax.io.images import to_rgb

_UNKNOWN = 128


class GrabCut(StillTree):
    """Masks are trimaps, see `read_trimap`."""

    name = "grabcut"
    title = "GrabCut"
    source = (
        "GrabCut.zip of the releases of github.com/saic-vul/fbrs_interactive_segmentation: "
        "data_GT/NAME.jpg and boundary_GT/NAME.bmp."
    )
    roots = ("", "GrabCut")
    parts = ("data_GT", "boundary_GT")
    splits = {"test": "data_GT"}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / "boundary_GT", read_trimap)


def read_trimap(path: Path) -> np.ndarray:
    """One channel alone counts: above 128 is the object, 128 is void.

    The rule of f-BRS (experiments/papers/evaluation.md, section 1.3). Its code takes OpenCV's first
    channel, which is blue; the others differ only in the few masks that are stored in colour.
    """
    blue = to_rgb(read_image(path))[..., 2]
    return np.where(blue == _UNKNOWN, VOID, blue > _UNKNOWN).astype(np.uint8)
