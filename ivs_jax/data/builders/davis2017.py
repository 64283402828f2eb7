"""DAVIS-2017: 60 training and 30 validation sequences of several objects, with human scribbles."""

import json
from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from ivs_jax.data.builders.base import TEXT, ClipBuilder, Example, Record
from ivs_jax.data.files import read_names


class Davis2017(ClipBuilder):
    """`test-dev` has masks of the first frames only.

    `scribbles` are the JSON texts of `Scribbles/SEQUENCE/*.json` as they are; none without them.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "DAVIS-2017-trainval-480p.zip, DAVIS-2017-test-dev-480p.zip and, for the scribbles, "
        "DAVIS-2017-scribbles-trainval.zip from davischallenge.org/davis2017/code.html: "
        "JPEGImages/480p/SEQUENCE/00000.jpg, Annotations/480p/SEQUENCE/00000.png, "
        "ImageSets/2017/train.txt, Scribbles/SEQUENCE/001.json."
    )
    ROOTS = ("", "DAVIS")
    PARTS = ("JPEGImages", "Annotations", "ImageSets/2017")
    SPLITS = {s: f"ImageSets/2017/{s}.txt" for s in ("train", "val", "test-dev")}
    RESOLUTION = "480p"
    FEATURES = ClipBuilder.FEATURES | {"scribbles": tfds.features.Sequence(TEXT)}

    def examples(self, root: Path, listed: Path) -> list[Example]:
        complete = listed.stem != "test-dev"
        names = read_names(listed)
        return [(name, partial(self._record, root, name, complete=complete)) for name in names]

    def _record(self, root: Path, name: str, *, complete: bool) -> Record:
        frames, masks = (
            root / kind / self.resolution / name for kind in ("JPEGImages", "Annotations")
        )
        files = sorted((root / "Scribbles" / name).glob("*.json"))
        texts = [_scribbles(file, name) for file in files]
        return self.clip(frames, masks, complete=complete) | {"scribbles": texts}


def _scribbles(file: Path, sequence: str) -> str:
    """The text of a file of scribbles, checked to be one of this sequence."""
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text)
        described = found["sequence"] if found["scribbles"] is not None else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not a file of scribbles ({error!r})") from error
    if described != sequence:
        raise ValueError(f"{file}: scribbles of {described!r}, expected {sequence!r}")
    return text
