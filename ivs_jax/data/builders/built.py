"""What `build` wrote, read back as bytes: needs neither TensorFlow nor the builder of the set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ivs_jax.data.builders.build import FOLDER

INFO = "dataset_info.json"


class BuiltSet(NamedTuple):
    """A set on disk: its name, folder of the newest version, and records of each split."""

    name: str
    folder: Path
    splits: dict[str, int]


class Records:
    """The records of one split, random access: dicts of bytes and lists of bytes.

    Raises ValueError naming set and file for a split that is unknown, and for files that are
    missing or damaged: those when a record in them is asked for.
    """

    def __init__(self, folder: Path, split: str) -> None:
        builder = _opened(folder)
        if split not in builder.info.splits:
            known = ", ".join(builder.info.splits) or "none"
            raise ValueError(f"{folder}: no split {split!r}, expected one of {known}")
        info = builder.info.splits[split]
        self._where = f"{builder.name}/{split}"
        self._files = [folder / Path(name).name for name in info.filenames]
        self._ends = np.cumsum(info.shard_lengths)
        for file in self._files:
            if not file.is_file():
                raise ValueError(f"{file}: missing, it holds records of {self._where}")
        self.features = frozenset(builder.info.features)
        self._source = builder.as_data_source(split=split)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number = range(len(self))[index]
        try:
            return self._source[number]
        except Exception as error:  # array_record and protobuf raise kinds of their own
            file = self._files[int(np.searchsorted(self._ends, number, side="right"))]
            raise ValueError(
                f"{file}: record {number} of {self._where} is damaged, build again ({error})"
            ) from error


def newest(folder: Path) -> Path:
    """The folder of the newest version of the set below `folder`; ValueError if there is none."""
    found = _versions(folder)
    if not found:
        raise ValueError(f"{folder}: no built set, expected the folder of ivs data build")
    return max(found, key=_version)


def built_sets(data: Path) -> Iterator[BuiltSet]:
    """The sets below `data/tfds`, by name."""
    places = {path.parent for path in _versions(data / FOLDER)}
    for place in sorted(places):
        info = _opened(folder := newest(place)).info
        splits = {name: split.num_examples for name, split in info.splits.items()}
        yield BuiltSet(place.relative_to(data / FOLDER).as_posix(), folder, splits)


def human_scribbles(folder: Path, split: str) -> dict[str, tuple[str, ...]]:
    """Sequence -> JSON texts of its human scribbles, of a built DAVIS-2017.

    Raises ValueError for a set without them.
    """
    records = Records(newest(folder), split)
    if "scribbles" not in records.features:
        raise ValueError(f"{folder}: has no scribbles, expected a built davis2017")
    found = (records[i] for i in range(len(records)))
    return {r["name"].decode(): tuple(t.decode() for t in r["scribbles"]) for r in found}


def _opened(folder: Path) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise ValueError("built sets need more: pip install 'ivs_jax[data]'") from error
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # JSON, protobuf and TFDS have their own kinds
        raise ValueError(f"{folder}: not a readable TFDS set ({error})") from error


def _versions(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob(f"**/{INFO}") if _version(path.parent)]


def _version(folder: Path) -> tuple[int, ...]:
    """`1.2.3` -> (1, 2, 3); empty for other names, such as those of unfinished builds."""
    parts = folder.name.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
