"""Sets as recipes name them, and mixtures of sets. Places are relative to the folder of all data.

`every=8` makes every 8th annotated frame of clips a still; `cached` keeps in memory what was read;
`share` says how often a set of a mixture is drawn against the others.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from ivs_jax.data.clips import ClipFrames, ClipSet, FileClips
from ivs_jax.data.layouts.clip_folder import clip_folder
from ivs_jax.data.layouts.davis import RESOLUTION, Year, davis_sequences
from ivs_jax.data.layouts.image_folder import image_folder
from ivs_jax.data.stills import FileStills, StillSet

Drawn = TypeVar("Drawn")
Kind = Literal["stills", "clips"]


class _Named:
    """Shows a set as a recipe writes it: the place and what is not as usual."""

    def __str__(self) -> str:
        first, *others = (f for f in fields(self) if f.init)  # type: ignore[arg-type]
        changed = [f.name for f in others if getattr(self, f.name) != f.default]
        given = [repr(getattr(self, first.name))]
        given += [f"{name}={getattr(self, name)!r}" for name in changed]
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True)
class Stills(_Named):
    """A folder of images/ and masks/."""

    folder: str
    _: KW_ONLY
    share: float = 1.0
    cached: bool = False
    kind: str = field(default="stills", init=False)

    def open(self, data: Path) -> StillSet:
        """Finds the files; ValueError if there are none, or an image has no mask."""
        folder = data / self.folder
        return FileStills(folder.name, image_folder(folder), cached=self.cached)


@dataclass(frozen=True)
class Clips(_Named):
    """A folder of sequences, NAME/frames and NAME/masks each.

    Attributes:
      joined: whether all objects of a mask are one.
    """

    folder: str
    _: KW_ONLY
    joined: bool = False
    share: float = 1.0
    cached: bool = False
    every: int | None = None
    kind: str = field(default="clips", init=False)

    def open(self, data: Path) -> StillSet | ClipSet:
        """Finds the files; ValueError for a folder that is missing or empty."""
        folder = data / self.folder
        found = clip_folder(folder, joined=self.joined)
        return _thinned(self, FileClips(folder.name, found, cached=_whole(self)))


@dataclass(frozen=True)
class Davis(_Named):
    """A split of a tree in DAVIS's layout.

    Attributes:
      year: the edition whose list is read, the later one that is there if None; 2016 also joins all
        objects of a frame into one.
      sparse: whether frames may lack a mask.
    """

    folder: str
    _: KW_ONLY
    split: str
    resolution: str = RESOLUTION
    year: Year | None = None
    sparse: bool = False
    share: float = 1.0
    cached: bool = False
    every: int | None = None
    kind: str = field(default="davis", init=False)

    def open(self, data: Path) -> StillSet | ClipSet:
        """Finds the files; ValueError for a list, folder or mask that is missing."""
        found = davis_sequences(
            data / self.folder,
            split=self.split,
            resolution=self.resolution,
            year=self.year,
            complete=not self.sparse,
        )
        name = f"{Path(self.folder).name} {self.split}"
        return _thinned(self, FileClips(name, found, cached=_whole(self)))


@dataclass(frozen=True)
class Built(_Named):
    """A split NAME/SPLIT of a set that `ivs data build` built."""

    name: str
    _: KW_ONLY
    share: float = 1.0
    cached: bool = False
    every: int | None = None
    kind: str = field(default="built", init=False)

    def open(self, data: Path) -> StillSet | ClipSet:
        """ValueError if it was not built."""
        from ivs_jax.data.records import open_records

        name, _, split = self.name.rpartition("/")
        if not name or not split:
            raise ValueError(f"{self}: no split, expected NAME/SPLIT")
        return _thinned(self, open_records(data / "tfds" / name, split, cached=_whole(self)))


Set = Stills | Clips | Davis | Built


def _whole(part: Clips | Davis | Built) -> bool:
    """Whether clips are kept in memory: not if only some frames of them are used."""
    return part.cached and part.every is None


def _thinned(part: Clips | Davis | Built, found: StillSet | ClipSet) -> StillSet | ClipSet:
    if part.every is None:
        return found
    if not isinstance(found, ClipSet):
        raise ValueError(f"{part}: every is for clips, these are stills")
    if part.every < 1:
        raise ValueError(f"{part}: every is {part.every}, expected a number from 1")
    return ClipFrames(found, part.every, cached=part.cached)


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


def open_mixture(parts: Sequence[Set], data: Path, kind: Kind) -> Mixture[Any]:
    """Opens the sets of a mixture. Raises ValueError also for a set of the other kind."""
    sets = [part.open(data) for part in parts]
    for part, found in zip(parts, sets, strict=True):
        actual: Kind = "stills" if isinstance(found, StillSet) else "clips"
        if actual != kind:
            hint = " (every=8 takes each 8th frame as a still)" if kind == "stills" else ""
            raise ValueError(f"{part}: a set of {actual}, expected {kind}{hint}")
    return Mixture(tuple(sets), tuple(p.share for p in parts), tuple(map(str, parts)))
