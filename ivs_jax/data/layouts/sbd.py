"""SBD (Semantic Boundaries): 8,498 training and 2,857 validation images with instances."""

from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ivs_jax.data.layouts.tree import StillFiles, StillTree, read_names


class Sbd(StillTree):
    """`inst/NAME.mat` holds instance ids from 1."""

    name = "sbd"
    title = "SBD"
    source = (
        "benchmark.tgz from home.bharathh.info/pubs/codes/SBD/download.html: img/NAME.jpg, "
        "inst/NAME.mat, train.txt, val.txt."
    )
    roots = ("", "dataset", "benchmark_RELEASE/dataset")
    parts = ("img", "inst")
    splits = {"train": "train.txt", "val": "val.txt"}

    def stills(self, root: Path, listed: Path) -> list[StillFiles]:
        found = []
        for name in read_names(listed):
            image, mask = root / "img" / f"{name}.jpg", root / "inst" / f"{name}.mat"
            found.append(StillFiles(name, image, mask, partial(_read_gtinst, mask)))
        return found


def _read_gtinst(file: Path) -> np.ndarray:
    """Instance ids `[H, W]` of a `.mat` file (version 5): `GTinst.Segmentation`, ids from 1."""
    try:
        found = loadmat(file, variable_names=["GTinst"])["GTinst"]["Segmentation"][0, 0]
    except Exception as error:  # SciPy raises a dozen kinds, down to AttributeError, on torn files
        raise ValueError(f"{file}: no readable GTinst.Segmentation ({error!r})") from error
    if found.ndim != 2 or found.dtype.kind not in "ui":
        raise ValueError(
            f"{file}: GTinst.Segmentation is {found.shape} {found.dtype}, expected [H, W] integers"
        )
    return np.asarray(found)
