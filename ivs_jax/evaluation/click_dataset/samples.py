"""One object to click, and a data set of them that reads a file when its object is asked for."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from ivs_jax.data.files import read_image
from ivs_jax.evaluation.click_dataset.masks import Masks
from ivs_jax.io.images import to_rgb


class ClickSample(NamedTuple):
    """One object to click.

    Attributes:
      name: unique within the data set.
      image: `[H, W, 3]` uint8 RGB.
      mask: `[H, W]` bool, the object.
      ignore: `[H, W]` bool, pixels that count neither way, or None.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    ignore: np.ndarray | None = None


class Entry(NamedTuple):
    """Where an object is: the file of its image, and what reads its masks."""

    image: Path
    masks: Callable[[], Masks]


class ClickDataset(Sequence[ClickSample]):
    """Objects by name, read when indexed, in the order of `entries`.

    `skipped` lists `(name, reason)` of what is in the folder but cannot be clicked.
    """

    def __init__(
        self, name: str, entries: Mapping[str, Entry], skipped: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.name, self._entries, self.skipped = name, dict(entries), tuple(skipped)
        self.names = tuple(self._entries)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> ClickSample: ...
    @overload
    def __getitem__(self, index: slice) -> "ClickDataset": ...
    def __getitem__(self, index: int | slice) -> "ClickSample | ClickDataset":
        if isinstance(index, slice):
            return self._part(self.names[index], self.skipped)
        name = self.names[index]
        entry = self._entries[name]
        return ClickSample(name, to_rgb(read_image(entry.image)), *entry.masks())

    def __iter__(self) -> Iterator[ClickSample]:
        return (self[i] for i in range(len(self)))

    def only(self, names: Collection[str]) -> "ClickDataset":
        """The objects of these names; a name that is not here is listed as skipped."""
        missing = [(name, "not in the data set") for name in names if name not in self._entries]
        return self._part([name for name in self.names if name in names], missing)

    def _part(
        self, names: Sequence[str], skipped: Sequence[tuple[str, str]] = ()
    ) -> "ClickDataset":
        return ClickDataset(self.name, {name: self._entries[name] for name in names}, skipped)
