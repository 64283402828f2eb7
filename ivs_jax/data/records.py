"""Built sets, read back: the records of a TFDS folder as stills or clips, without TensorFlow."""

from pathlib import Path
from typing import Any

from ivs_jax.data.builders.built import Records, newest
from ivs_jax.data.clips import Clip, ClipSet
from ivs_jax.data.stills import Still, StillSet, decode_image, decode_labels


def open_records(folder: Path, split: str, *, cached: bool = False) -> "RecordStills | RecordClips":
    """The split of the newest version of the set built into `folder`.

    Stills have the features `image` and `labels`, videos `frames` and `labels` (`data.builders`).
    Raises ValueError if nothing was built there, the split is unknown or empty, or the features
    are others.
    """
    records = Records(newest(folder), split)
    name = f"{folder.name}/{split}"
    if not len(records):
        raise ValueError(f"{folder}: the split {split!r} is empty")
    if {"image", "labels"} <= records.features:
        return RecordStills(name, records, cached=cached)
    if {"frames", "labels"} <= records.features:
        return RecordClips(name, records, cached=cached)
    found = sorted(records.features)
    raise ValueError(f"{folder}: features {found}, expected image or frames, and labels")


class RecordStills(StillSet):
    """Stills of a built set."""

    def __init__(self, name: str, records: Records, *, cached: bool = False) -> None:
        super().__init__(name, cached=cached)
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def read(self, index: int) -> Still:
        record = self._records[index]
        where = f"{self.name}, record {index} ({_text(record['name'])})"
        image, labels = decode_image(record["image"], where), decode_labels(record["labels"], where)
        if image.shape[:2] != labels.shape:
            raise ValueError(f"{where}: mask is {labels.shape}, its image is {image.shape[:2]}")
        return Still(image, labels, self.name)


class RecordClips(ClipSet):
    """Clips of a built set; a record holds the encoded frames of a whole sequence.

    With `cached` the encoded records that were read once stay in memory, and so do their decoded
    frames.
    """

    def __init__(self, name: str, records: Records, *, cached: bool = False) -> None:
        super().__init__(name)
        self._records = records
        self._cache: dict[int, Clip] | None = {} if cached else None

    def __len__(self) -> int:
        return len(self._records)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": None if self._cache is None else {}}

    def read(self, index: int) -> Clip:
        if self._cache is None:
            return self._clip(index)
        if index not in self._cache:
            self._cache[index] = self._clip(index)
        return self._cache[index]

    def _clip(self, index: int) -> Clip:
        record = self._records[index]
        masks = tuple(bytes(mask) or None for mask in record["labels"])
        name = f"{self.name}, {_text(record['name'])}"
        frames = tuple(bytes(frame) for frame in record["frames"])
        return Clip(name, frames, masks, cache=None if self._cache is None else {})


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
