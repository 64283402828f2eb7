"""SBD as published: `img/*.jpg`, `inst/*.mat`, `val.txt`; every instance is an object.

A `.mat` file (version 5) holds a struct `GTinst`, whose `Segmentation` is `[H, W]` uint8 with
instance ids from 1. The click protocol has no ignored pixels here
(experiments/papers/evaluation.md, section 1.3); a 255 would be void and is no object.
"""

from functools import partial
from pathlib import Path

import numpy as np

from ivs_jax.data.files import read_gtinst
from ivs_jax.evaluation.click_dataset.masks import VOID, Masks
from ivs_jax.evaluation.click_dataset.samples import Entry

SPLIT = "val.txt"


def sbd_entries(folder: Path) -> tuple[dict[str, Entry], list[tuple[str, str]]]:
    """Objects `<image>#<id>` of the validation images, and `(name, reason)` of what is unusable.

    Reads every `.mat` file once, as the ids are nowhere else: some seconds for the whole set.
    """
    entries: dict[str, Entry] = {}
    skipped: list[tuple[str, str]] = []
    for name in dict.fromkeys((folder / SPLIT).read_text(encoding="utf-8").split()):
        image, file = folder / "img" / f"{name}.jpg", folder / "inst" / f"{name}.mat"
        if not image.is_file():
            skipped.append((name, f"{image}: no such image"))
            continue
        try:
            ids = sorted(set(np.unique(read_gtinst(file)).tolist()) - {0, VOID})
        except ValueError as error:
            skipped.append((name, str(error)))
            continue
        if not ids:
            skipped.append((name, "no instance in the image"))
        entries |= {f"{name}#{n}": Entry(image, partial(_instance, file, n)) for n in ids}
    return entries, skipped


def _instance(file: Path, number: int) -> Masks:
    return read_gtinst(file) == number, None
