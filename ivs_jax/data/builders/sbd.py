"""SBD (Semantic Boundaries): 8,498 training and 2,857 validation images with instances."""

from functools import partial
from pathlib import Path

from ivs_jax.data.builders.base import Example, Record, StillBuilder
from ivs_jax.data.builders.encoded import image_bytes, label_bytes
from ivs_jax.data.files import read_gtinst, read_names


class Sbd(StillBuilder):
    """`inst/NAME.mat` holds instance ids from 1; they become a PNG."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "benchmark.tgz from home.bharathh.info/pubs/codes/SBD/download.html: img/NAME.jpg, "
        "inst/NAME.mat, train.txt, val.txt."
    )
    ROOTS = ("", "dataset", "benchmark_RELEASE/dataset")
    SPLITS = {"train": "train.txt", "val": "val.txt"}
    PARTS = ("img", "inst")

    def examples(self, root: Path, listed: Path) -> list[Example]:
        return [(name, partial(self._record, root, name)) for name in read_names(listed)]

    def _record(self, root: Path, name: str) -> Record:
        data, size = image_bytes(root / "img" / f"{name}.jpg")
        mask = root / "inst" / f"{name}.mat"
        return self.still(data, *label_bytes(read_gtinst(mask), mask, size), where=mask)
