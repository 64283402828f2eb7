"""Sets by name, as recipes write them, and mixtures of sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from ivs_jax.data.clips import ClipFrames, ClipSet, DavisClips, FolderClips
from ivs_jax.data.stills import FolderStills, StillSet

Drawn = TypeVar("Drawn")
Kind = Literal["stills", "clips"]
KINDS = (
    "stills:FOLDER (images/ and masks/)",
    "clips:FOLDER (NAME/frames and NAME/masks)",
    "davis:FOLDER?split=train&resolution=480p&year=2017",
    "tfds:NAME/SPLIT",
)
_OPTIONS = {
    "stills": {"cached"},
    "clips": {"binary", "cached", "every"},
    "davis": {"split", "resolution", "year", "sparse", "cached", "every"},
    "tfds": {"cached", "every"},
}


@dataclass(frozen=True)
class Part:
    """A set of a mixture: its name for `open_set`, and how often it is drawn against the others."""

    set: str
    share: float = 1.0


@dataclass(frozen=True)
class Mixture(Generic[Drawn]):
    """Sets of one kind that are drawn from: first a set by its share, then uniformly in it."""

    sets: tuple[Sequence[Drawn], ...]
    shares: tuple[float, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.sets:
            raise ValueError("no set to draw from, expected at least one")
        for name, share, found in zip(self.names, self.shares, self.sets, strict=True):
            if not np.isfinite(share) or share <= 0:
                raise ValueError(f"{name}: share is {share}, expected more than 0")
            if not len(found):
                raise ValueError(f"{name}: the set is empty")

    def draw(self, rng: np.random.Generator) -> Drawn:
        """One element."""
        shares = np.asarray(self.shares) / sum(self.shares)
        chosen = self.sets[int(rng.choice(len(shares), p=shares))]
        return chosen[int(rng.integers(len(chosen)))]


def open_mixture(parts: Sequence[Part], data: Path, kind: Kind) -> Mixture[Any]:
    """Opens the sets of a mixture. Raises ValueError also for a set of the other kind."""
    sets = [open_set(part.set, data) for part in parts]
    for part, found in zip(parts, sets, strict=True):
        actual: Kind = "stills" if isinstance(found, StillSet) else "clips"
        if actual != kind:
            hint = " (every=8 takes each 8th frame as a still)" if kind == "stills" else ""
            raise ValueError(f"{part.set}: a set of {actual}, expected {kind}{hint}")
    return Mixture(tuple(sets), tuple(p.share for p in parts), tuple(p.set for p in parts))


def open_set(spec: str, data: Path) -> StillSet | ClipSet:
    """Opens a set of the folder `data` by its name; images are read later, one by one.

    `stills:stills/voc` is a folder of images/ and masks/, `clips:clips` one of sequences with
    frames/ and masks/ each (binary=true where every mark is object 1), `davis:davis?split=train`
    one in DAVIS's layout (options: resolution, year, sparse=true where frames may lack masks),
    `tfds:sbd/train` a split of a set that `ivs data build` built into `data/tfds`. `every=8` makes
    every 8th annotated frame of clips a still, `cached=true` keeps in memory what was read.
    Raises ValueError for other names and options, and for sets that are missing or empty.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _OPTIONS:
        raise ValueError(f"set {spec!r}: unknown kind, expected {' or '.join(KINDS)}")
    place, _, query = rest.partition("?")
    options = _options(spec, query, _OPTIONS[kind])
    every, cached = options.pop("every", None), _flag(spec, "cached", options)
    found = _open(spec, kind, place, data, options, cached and not every)
    if every is None:
        return found
    if not isinstance(found, ClipSet):
        raise ValueError(f"set {spec!r}: every= is for clips, these are stills")
    if not every.isdigit() or int(every) < 1:
        raise ValueError(f"set {spec!r}: every is {every!r}, expected a number from 1")
    return ClipFrames(found, int(every), cached=cached)


def _open(
    spec: str, kind: str, place: str, data: Path, options: dict[str, str], cached: bool
) -> StillSet | ClipSet:
    if kind == "stills":
        return FolderStills(data / place, cached=cached)
    if kind == "clips":
        binary = _flag(spec, "binary", options)
        return FolderClips(data / place, binary=binary, cached=cached)
    if kind == "davis":
        if "split" not in options:
            raise ValueError(f"set {spec!r}: no split, expected {KINDS[2]}")
        return DavisClips(
            data / place,
            split=options.pop("split"),
            sparse=_flag(spec, "sparse", options),
            cached=cached,
            **options,
        )
    name, slash, split = place.rpartition("/")
    if not slash or not name:
        raise ValueError(f"set {spec!r}: no split, expected {KINDS[3]}")
    from ivs_jax.data.records import open_records

    return open_records(data / "tfds" / name, split, cached=cached)


def _options(spec: str, query: str, known: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - known)
    if unknown:
        expected = ", ".join(sorted(known))
        raise ValueError(f"set {spec!r}: unknown option {unknown[0]!r}, expected {expected}")
    return options


def _flag(spec: str, name: str, options: dict[str, str]) -> bool:
    value = options.pop(name, "false")
    if value not in ("true", "false"):
        raise ValueError(f"set {spec!r}: {name} is {value!r}, expected true or false")
    return value == "true"
