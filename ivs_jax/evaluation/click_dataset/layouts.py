"""The layouts of the published click benchmarks, told apart by what their folder holds."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ivs_jax.data.files import by_stem, listing
from ivs_jax.evaluation.click_dataset.masks import (
    Masks,
    instance_ids,
    read_click_mask,
    read_instance,
    read_trimap,
    read_union,
)
from ivs_jax.evaluation.click_dataset.samples import ClickDataset, Entry
from ivs_jax.evaluation.click_dataset.sbd import sbd_entries

Found = tuple[dict[str, Entry], list[tuple[str, str]]]  # objects; (name, reason) of the others


class Layout(NamedTuple):
    """How a data set lies on disk.

    Attributes:
      name: for `--layout`.
      parts: folders and files by which it is recognised.
      find: folder -> objects by name, and what cannot be used.
      title: name of the data set where only that one has this layout; else the folder is its name.
    """

    name: str
    parts: tuple[str, ...]
    find: Callable[[Path], Found]
    title: str = ""

    def missing(self, folder: Path) -> list[str]:
        return [part for part in self.parts if not (folder / part).exists()]


def open_click_dataset(
    folder: str | Path, *, layout: str | None = None, instances: bool = False
) -> ClickDataset:
    """Opens a click benchmark.

    Args:
      folder: GrabCut (`data_GT`, `boundary_GT`), SBD (`img`, `inst`, `val.txt`), DAVIS-345 or
        COCO_MVal as f-BRS published them (`img`, `gt`), or any folder with `images` and `masks`,
        as Berkeley is.
      layout: one of `LAYOUTS`; None to recognise it.
      instances: with `images` and `masks`: every id of a mask is an object of its own.

    Image and mask belong together by file stem; `<name>#1.png`, `<name>#2.png`, ... are several
    masks of the image `<name>`. Raises ValueError naming the folder when it has no such layout,
    more than one, or nothing to click.
    """
    folder = Path(folder)
    chosen = _recognised(folder) if layout is None else _asked(folder, layout)
    if instances:
        if chosen.name != "masks":
            raise ValueError(f"{folder}: instances are for images/ and masks/, found {chosen.name}")
        chosen = chosen._replace(find=partial(_pairs, "images", "masks", find=_instances))
    entries, skipped = chosen.find(folder)
    if not entries:
        reason = f"; first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise ValueError(
            f"{folder}: no image with a mask (layout {chosen.name}), {len(skipped)} skipped{reason}"
        )
    return ClickDataset(chosen.title or folder.resolve().name, entries, skipped)


def _recognised(folder: Path) -> Layout:
    fits = [layout for layout in LAYOUTS if not layout.missing(folder)]
    if len(fits) > 1:
        names = " and ".join(layout.name for layout in fits)
        raise ValueError(f"{folder}: has the layouts {names}, choose one (--layout)")
    if not fits:
        known = "; ".join(f"{layout.name}: {', '.join(layout.parts)}" for layout in LAYOUTS)
        raise ValueError(f"{folder}: found {listing(folder)}, expected one of {known}")
    return fits[0]


def _asked(folder: Path, name: str) -> Layout:
    for layout in LAYOUTS:
        if layout.name == name:
            if missing := layout.missing(folder):
                raise ValueError(
                    f"{folder}: {name} has {', '.join(layout.parts)}, no {missing[0]} in "
                    f"{listing(folder)}"
                )
            return layout
    raise ValueError(f"layout {name!r}: expected one of {', '.join(x.name for x in LAYOUTS)}")


def _pairs(images: str, masks: str, folder: Path, *, find: Callable[..., Found]) -> Found:
    """Images and masks of the same stem, in the order of their names."""
    image_of, mask_of = by_stem(folder / images), by_stem(folder / masks)
    entries: dict[str, Entry] = {}
    skipped: list[tuple[str, str]] = []
    used = set()
    for stem, mask in mask_of.items():
        owner = stem if stem in image_of else stem.rpartition("#")[0]
        if owner not in image_of:
            skipped.append((stem, "mask without image"))
            continue
        used.add(owner)
        found, unusable = find(stem, image_of[owner], mask)
        entries |= found
        skipped += unusable
    skipped += [(stem, "image without mask") for stem in image_of.keys() - used]
    return entries, sorted(skipped)


def _single(rule: Callable[[Path], Masks]) -> Callable[[str, Path, Path], Found]:
    """A mask file is one object, read by `rule`."""
    return lambda name, image, mask: ({name: Entry(image, partial(rule, mask))}, [])


def _instances(name: str, image: Path, mask: Path) -> Found:
    """A mask file is a map of instances, each an object; it is read for its ids."""
    try:
        ids = instance_ids(mask)
    except ValueError as error:
        return {}, [(name, str(error))]
    found = {f"{name}#{n}": Entry(image, partial(read_instance, mask, n)) for n in ids}
    return found, [] if ids else [(name, "mask without object")]


def _paired(
    name: str, parts: tuple[str, str], rule: Callable[[Path], Masks], title: str = ""
) -> Layout:
    return Layout(name, parts, partial(_pairs, *parts, find=_single(rule)), title)


LAYOUTS = (
    _paired("grabcut", ("data_GT", "boundary_GT"), read_trimap, "GrabCut"),
    _paired("davis", ("img", "gt"), read_union),
    _paired("masks", ("images", "masks"), read_click_mask),
    Layout("sbd", ("img", "inst", "val.txt"), sbd_entries, "SBD"),
)
