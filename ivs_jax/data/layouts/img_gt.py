"""DAVIS-345 and COCO_MVal, click benchmarks as f-BRS published them: `img/` beside `gt/`."""

from pathlib import Path

import numpy as np

from ivs_jax.data.layouts.image_folder import paired
from ivs_jax.data.layouts.masks import read_image
from ivs_jax.data.layouts.tree import StillFiles, StillTree
from ivs_jax.io.images import to_rgb


class ImgGt(StillTree):
    """All that is not black is the object, so that the objects of a frame of DAVIS are one."""

    name = "davis"
    source = (
        "DAVIS.zip or COCO_MVal.zip of the releases of "
        "github.com/saic-vul/fbrs_interactive_segmentation: img/NAME.jpg and gt/NAME.png."
    )
    parts = ("img", "gt")
    splits = {"test": "img"}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        return paired(listed, root / "gt", _not_black)


def _not_black(path: Path) -> np.ndarray:
    return (to_rgb(read_image(path)).max(-1) > 0).astype(np.uint8)
