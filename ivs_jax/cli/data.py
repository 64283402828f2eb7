"""`ivs data`: builds training sets from files as published, lists and shows them."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg, subcommand

if TYPE_CHECKING:
    from ivs_jax.data.sets import Set

BUILD = """Writes a data set as array_record files, for training without decoding on the way in.

Where to get the files of a set, and the tree that is expected, is in ivs data list.

examples:
  ivs data build sbd --manual-dir downloads/benchmark_RELEASE
  ivs data build davis2016 --manual-dir downloads/DAVIS --splits train --resolution 240p
  ivs data build saliency --manual-dir downloads/duts --name duts --skip-bad
"""
SHOW = """A picture of a set with its masks: of a built set, or of a folder that training reads.

examples:
  ivs data show sbd/train -n 8 -o sheet.png
  ivs data show stills/voc --kind stills --data DATA
  ivs data show davis --kind davis --split train --resolution 240p --data DATA
"""
SHOWN_SKIPPED = 20


@dataclass(frozen=True)
class Build:
    kind: Annotated[Positional[str], arg(metavar="NAME")]
    """Which set: a name of ivs data list."""
    manual_dir: Path
    """Folder of the downloaded and unpacked files."""
    data: Path = Path("data")
    """Folder of all data; the set goes to DATA/tfds/NAME."""
    name: str = ""
    """Name of the built set, if not that of its kind."""
    splits: tuple[str, ...] = ()
    """Which splits; default: all that are there."""
    resolution: str = ""
    """Folder of frames to take (DAVIS: 480p, Full-Resolution, ...)."""
    skip_bad: bool = False
    """Leave out records that cannot be used, count and list them, instead of stopping."""

    def run(self) -> int:
        from ivs_jax.cli.show import print_table, progress_bar
        from ivs_jax.data.builders.build import build

        with progress_bar("build") as advance:
            built = build(
                self.kind,
                self.manual_dir,
                self.data,
                name=self.name,
                splits=self.splits,
                resolution=self.resolution,
                skip_bad=self.skip_bad,
                progress=advance,
            )
        rows = [("folder", str(built.data_path))]
        rows += [
            (split, f"{part.num_examples} records") for split, part in built.info.splits.items()
        ]
        if self.skip_bad:
            rows.append(("skipped", str(len(built.skipped))))
        print_table(built.name, rows)
        for split, name, reason in built.skipped[:SHOWN_SKIPPED]:
            print(f"skipped {split}/{name}: {reason}", file=sys.stderr)
        if len(built.skipped) > SHOWN_SKIPPED:
            print(f"all {len(built.skipped)}: {built.data_path}/skipped.txt", file=sys.stderr)
        return 0


@dataclass(frozen=True)
class List:
    data: Path = Path("data")
    """Folder of all data."""

    def run(self) -> int:
        from ivs_jax.cli.show import print_table
        from ivs_jax.data.builders.build import FOLDER
        from ivs_jax.data.builders.built import built_sets
        from ivs_jax.data.layouts.published import TREES

        print_table(
            "Sets that ivs data build knows, and what they need in --manual-dir",
            ((name, tree.source) for name, tree in TREES.items()),
        )
        rows = [("folder", str(self.data / FOLDER))]
        rows += [
            (one.name, ", ".join(f"{count} {split}" for split, count in one.splits.items()))
            for one in built_sets(self.data)
        ]
        print_table("Built sets", rows if rows[1:] else [*rows, ("none", "see ivs data build")])
        return 0


@dataclass(frozen=True)
class Show:
    name: Positional[str]
    """A built set, NAME or NAME/SPLIT; with --kind a folder of DATA."""
    kind: Literal["built", "stills", "clips", "davis"] = "built"
    """What lies there: stills has images/ and masks/, clips NAME/frames and NAME/masks each, davis
    the layout of DAVIS."""
    split: str = "train"
    """Of davis: name of the list of sequences."""
    resolution: str = "480p"
    """Of davis: folder of frames and masks."""
    year: Literal["2016", "2017"] | None = None
    """Of davis: the edition; 2016 joins all objects of a frame into one."""
    every: int | None = None
    """Of clips: show each so-manieth annotated frame, as training on stills sees it."""
    data: Path = Path("data")
    """Folder of all data."""
    count: Annotated[int, arg(aliases=["-n"])] = 8
    """How many images or clips, evenly spread."""
    out: Annotated[Path, arg(aliases=["-o"])] = Path("sheet.png")
    """PNG file of the picture."""

    def run(self) -> int:
        from ivs_jax.data.sheet import set_sheet
        from ivs_jax.io import atomic

        found = self._set().open(self.data)
        sheet = set_sheet(found, count=self.count)
        with atomic(self.out) as temporary:
            sheet.save(temporary, "PNG")
        print(f"{self.name}: {len(found)} in all, {self.out}")
        return 0

    def _set(self) -> "Set":
        from ivs_jax.data.sets import Built, Clips, Davis, Stills

        if self.kind == "stills":
            return Stills(self.name)
        if self.kind == "clips":
            return Clips(self.name, every=self.every)
        if self.kind == "built":
            return Built(self._with_split(), every=self.every)
        return Davis(
            self.name,
            split=self.split,
            resolution=self.resolution,
            year=self.year,
            sparse=True,
            every=self.every,
        )

    def _with_split(self) -> str:
        """The name of a built set with its split, by default the first one."""
        from ivs_jax.data.builders.built import built_sets

        splits = {one.name: list(one.splits) for one in built_sets(self.data)}
        name, slash, _ = self.name.partition("/")
        if name not in splits:
            known = ", ".join(splits) or "none"
            raise ValueError(f"no built set {name!r} in {self.data}, found {known}")
        return self.name if slash else f"{name}/{splits[name][0]}"


@dataclass(frozen=True)
class Data:
    what: (
        Annotated[Build, subcommand("build", description=BUILD)]
        | Annotated[List, subcommand("list", description="Sets that can be or are built.")]
        | Annotated[Show, subcommand("show", description=SHOW)]
    )

    def run(self) -> int:
        return self.what.run()
