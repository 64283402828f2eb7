"""Sets as recipes name them, and mixtures of sets. Names are places in the folder of all data."""

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


@dataclass(frozen=True)
class _Set:
    """What all sets have.

    Attributes:
      name: of the folder, or of the built set.
      share: how often it is drawn against the other sets of a mixture.
      cached: whether what was read stays in memory.
      kind: name of the class, for the record of a run.
    """

    name: str
    _: KW_ONLY
    share: float = 1.0
    cached: bool = False
    kind: str = field(default="", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self).__name__)

    def __str__(self) -> str:
        """As a recipe writes it, without what is as usual."""
        settings = [f for f in fields(self) if f.init and getattr(self, f.name) != f.default]
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in settings[1:]]
        return f"{self.kind}({', '.join([repr(self.name), *shown])})"


@dataclass(frozen=True)
class Stills(_Set):
    """A folder of images/ and masks/."""

    def open(self, data: Path) -> StillSet:
        """Finds the files; ValueError if there are none, or an image has no mask."""
        folder = data / self.name
        return FileStills(folder.name, image_folder(folder), cached=self.cached)


@dataclass(frozen=True, kw_only=True)
class _ClipSet(_Set):
    """What sets of clips have.

    Attributes:
      every: makes each so-manieth annotated frame a still; None for clips.
    """

    every: int | None = None

    def open(self, data: Path) -> StillSet | ClipSet:
        """Finds the files; ValueError for a list, folder or mask that is missing."""
        found = self._find(data, cached=self.cached and self.every is None)
        if self.every is None:
            return found
        if not isinstance(found, ClipSet):
            raise ValueError(f"{self}: every is for clips, these are stills")
        if self.every < 1:
            raise ValueError(f"{self}: every is {self.every}, expected a number from 1")
        return ClipFrames(found, self.every, cached=self.cached)

    def _find(self, data: Path, *, cached: bool) -> StillSet | ClipSet:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Clips(_ClipSet):
    """A folder of sequences, NAME/frames and NAME/masks each.

    Attributes:
      joined: whether all objects of a mask are one.
    """

    joined: bool = False

    def _find(self, data: Path, *, cached: bool) -> ClipSet:
        found = clip_folder(data / self.name, joined=self.joined)
        return FileClips(self.name, found, cached=cached)


@dataclass(frozen=True, kw_only=True)
class Davis(_ClipSet):
    """A split of a tree in DAVIS's layout.

    Attributes:
      year: the edition whose list is read, the later one that is there if None; 2016 also joins all
        objects of a frame into one.
      sparse: whether frames may lack a mask.
    """

    split: str
    resolution: str = RESOLUTION
    year: Year | None = None
    sparse: bool = False

    def _find(self, data: Path, *, cached: bool) -> ClipSet:
        found = davis_sequences(
            data / self.name,
            split=self.split,
            resolution=self.resolution,
            year=self.year,
            complete=not self.sparse,
        )
        return FileClips(f"{self.name} {self.split}", found, cached=cached)


@dataclass(frozen=True, kw_only=True)
class Built(_ClipSet):
    """A split, NAME/SPLIT, of a set that `ivs data build` built."""

    def _find(self, data: Path, *, cached: bool) -> StillSet | ClipSet:
        from ivs_jax.data.records import open_records

        name, _, split = self.name.rpartition("/")
        if not name or not split:
            raise ValueError(f"{self}: no split, expected NAME/SPLIT")
        return open_records(data / "tfds" / name, split, cached=cached)


Set = Stills | Clips | Davis | Built


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
