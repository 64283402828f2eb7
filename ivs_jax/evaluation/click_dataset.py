"""Click benchmarks on disk, each in the layout that it was published in."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from ivs_jax.data.layouts.berkeley import Berkeley
from ivs_jax.data.layouts.grabcut import GrabCut
from ivs_jax.data.layouts.image_folder import ImageFolder, SingleObjects
from ivs_jax.data.layouts.img_gt import ImgGt
from ivs_jax.data.layouts.masks import VOID, read_image
from ivs_jax.data.layouts.sbd import Sbd
from ivs_jax.data.layouts.tree import StillFiles, StillTree, listing
from ivs_jax.io.images import to_rgb

# Layout -> its tree, and the split that is clicked.
LAYOUTS: dict[str, tuple[StillTree, str]] = {
    "grabcut": (GrabCut(), "test"),
    "berkeley": (Berkeley(), "test"),
    "davis": (ImgGt(), "test"),
    "masks": (SingleObjects(), "train"),
    "sbd": (Sbd(), "val"),
}


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
    """Where an object is: the file of its image, what reads the ids of its mask, and its id."""

    image: Path
    labels: Callable[[], np.ndarray]
    number: int = 1
    has_void: bool = True


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
        labels = entry.labels()
        void = labels == VOID if entry.has_void else None
        ignore = void if void is not None and void.any() else None
        return ClickSample(name, to_rgb(read_image(entry.image)), labels == entry.number, ignore)

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


def open_click_dataset(
    folder: str | Path, *, layout: str | None = None, instances: bool = False
) -> ClickDataset:
    """Opens a click benchmark.

    Args:
      folder: GrabCut (`data_GT`, `boundary_GT`), SBD (`img`, `inst`, `val.txt`), DAVIS-345 or
        COCO_MVal as f-BRS published them (`img`, `gt`), or any folder with `images` and `masks`,
        which is Berkeley if it is called so.
      layout: one of `LAYOUTS`; None to recognise it.
      instances: with `images` and `masks`: every id of a mask is an object of its own.

    Image and mask belong together by file stem; `<name>#1.png`, `<name>#2.png`, ... are several
    masks of the image `<name>`. In SBD every instance of the validation images is an object, and no
    pixel is ignored (experiments/papers/evaluation.md, section 1.3).

    Raises ValueError naming the folder when it has no such layout, more than one, or nothing to
    click.
    """
    folder = Path(folder)
    chosen, root = _recognised(folder) if layout is None else _asked(folder, layout)
    tree, split = LAYOUTS[chosen]
    if instances:
        if chosen != "masks":
            raise ValueError(f"{folder}: instances are for images/ and masks/, found {chosen}")
        tree = ImageFolder()
    stills = tree.stills(root, tree.chosen(root, [split])[split])
    entries: dict[str, Entry] = {}
    skipped: list[tuple[str, str]] = []
    for still in stills:
        try:
            entries |= _objects(still, chosen, several=instances or chosen == "sbd")
        except ValueError as error:
            skipped.append((still.name, str(error)))
    if not entries:
        reason = f"; first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise ValueError(
            f"{folder}: no image with a mask (layout {chosen}), {len(skipped)} skipped{reason}"
        )
    return ClickDataset(tree.title or folder.resolve().name, entries, skipped)


def _objects(still: StillFiles, layout: str, *, several: bool) -> dict[str, Entry]:
    """The objects of an image by name; of `several` the mask is read, as its ids are nowhere else.

    ValueError if there is none.
    """
    if lost := still.lost():
        raise ValueError(lost)
    if not several:
        return {still.name: Entry(still.image, still.labels)}
    ids = sorted(set(np.unique(still.labels()).tolist()) - {0, VOID})
    if not ids:
        raise ValueError(f"{still.mask}: no object in the mask")
    entry = partial(Entry, still.image, still.labels, has_void=layout != "sbd")
    return {f"{still.name}#{number}": entry(number=number) for number in ids}


def _recognised(folder: Path) -> tuple[str, Path]:
    """The layout that fits, and where its tree starts."""
    fits = {name: root for name, (tree, _) in LAYOUTS.items() if (root := tree.find(folder))}
    if "berkeley" in fits:  # lies as any folder of images and masks does
        named = fits["berkeley"].resolve().name.lower() == "berkeley"
        fits.pop("masks" if named else "berkeley", None)
    if len(fits) > 1:
        raise ValueError(f"{folder}: has the layouts {' and '.join(fits)}, choose one (--layout)")
    if not fits:
        known = "; ".join(f"{n}: {', '.join(_parts(n))}" for n in LAYOUTS)
        raise ValueError(f"{folder}: found {listing(folder)}, expected one of {known}")
    return fits.popitem()


def _asked(folder: Path, name: str) -> tuple[str, Path]:
    if name not in LAYOUTS:
        raise ValueError(f"layout {name!r}: expected one of {', '.join(LAYOUTS)}")
    if root := LAYOUTS[name][0].find(folder):
        return name, root
    parts = _parts(name)
    missing = next(part for part in parts if not (folder / part).exists())
    raise ValueError(f"{folder}: {name} has {', '.join(parts)}, no {missing} in {listing(folder)}")


def _parts(name: str) -> list[str]:
    """The files and folders by which a layout is recognised."""
    tree, split = LAYOUTS[name]
    return list(dict.fromkeys([*tree.parts, tree.splits[split]]))
