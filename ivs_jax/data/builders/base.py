"""TFDS builders of the published trees: bad records stop the build or are listed."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from ivs_jax.data.builders.encoded import Size, image_bytes, mask_bytes
from ivs_jax.data.layouts.tree import ClipFolders, ClipTree, StillFiles, StillTree

Record = dict[str, Any]
Example = tuple[str, Callable[[], Record]]  # its name, and what reads and checks its files

TEXT = tfds.features.Text()  # holds any bytes, stored and read without TensorFlow


class Skipped(NamedTuple):
    """A record that `skip_bad` left out, and why."""

    split: str
    name: str
    reason: str


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the splits of one tree as array_record files; a subclass makes the records."""

    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded; TFDS would look for a list of checksums with a package it does not ask
    # for (importlib_resources).
    url_infos: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        # TFDS has sets of its own: ours stay out of its registry.
        super().__init_subclass__(skip_registration=True, **options)  # type: ignore[call-arg]

    def __init__(
        self,
        tree: Any,
        root: Path,
        lists: Mapping[str, Path],
        *,
        data_dir: Path,
        name: str,
        resolution: str = "",
        skip_bad: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Prepares to write `data_dir/name/VERSION`.

        Args:
          tree: reader of the files, see `data.layouts`.
          root: where the tree starts.
          lists: split -> the file or folder that lists it.
          name: of the set that is made.
          resolution: instead of the tree's, where it has several.
          skip_bad: leave out records that cannot be used and list them in `skipped`.
          progress: called with (done, total) records of a split.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"name {name!r}: expected small letters, digits and _, e.g. duts")
        usual = getattr(tree, "resolution", "")
        if resolution and not usual:
            raise ValueError(f"{name}: has no resolutions to choose from, got {resolution!r}")
        self.name, self.tree, self.resolution = name, tree, resolution or usual
        self.skipped: list[Skipped] = []
        self._root, self._lists = root, dict(lists)
        self._skip_bad, self._progress = skip_bad, progress
        super().__init__(data_dir=data_dir)

    def features(self) -> dict[str, Any]:
        """What a record holds besides its name."""
        raise NotImplementedError

    def examples(self, listed: Path) -> list[Example]:
        """The records of the split that `listed` lists, in order."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict({"name": TEXT} | self.features())
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Record]]]:
        return {s: self._generate_examples(s, listed) for s, listed in self._lists.items()}

    def _generate_examples(self, split: str, listed: Path) -> Iterator[tuple[int, Record]]:
        where, good = f"{self.name}/{split}", 0
        examples = self.examples(listed)
        for number, (name, read) in enumerate(examples):
            try:
                record = read()
            except ValueError as error:
                if not self._skip_bad:
                    raise ValueError(f"{where}: {error}") from error
                self.skipped.append(Skipped(split, name, str(error)))
            else:
                good += 1
                yield number, {"name": name} | record
            self._progress(number + 1, len(examples))
        if not good:
            raise ValueError(f"{where}: no usable record, {len(examples)} skipped ({listed})")


class StillBuilder(Builder):
    """Records `{"name", "image": JPEG or PNG, "labels": PNG of ids}`."""

    tree: StillTree

    def features(self) -> dict[str, Any]:
        return {"image": TEXT, "labels": TEXT}

    def examples(self, listed: Path) -> list[Example]:
        stills = self.tree.stills(self._root, listed)
        return [(still.name, partial(self._record, still)) for still in stills]

    def _record(self, still: StillFiles) -> Record:
        if lost := still.lost():
            raise ValueError(lost)
        image, size = image_bytes(still.image)
        labels, has_object = mask_bytes(still.mask, still.labels(), size)
        if not has_object:
            raise ValueError(f"{still.mask}: no object in the mask")
        return {"image": image, "labels": labels}


class ClipBuilder(Builder):
    """Records `{"name", "frames": [JPEG or PNG], "labels": [PNG of ids, b"" = not annotated]}`.

    Human scribbles, where the tree has them, are their JSON texts.
    """

    tree: ClipTree

    def features(self) -> dict[str, Any]:
        names = ("frames", "labels", *(["scribbles"] if self.tree.scribbled else []))
        return {name: tfds.features.Sequence(TEXT) for name in names}

    def examples(self, listed: Path) -> list[Example]:
        clips = self.tree.clips(self._root, listed, self.resolution)
        return [(clip.name, partial(self._record, clip)) for clip in clips]

    def _record(self, clip: ClipFolders) -> Record:
        """Raises ValueError also for frames of several sizes, and a mask without a frame."""
        files = clip.files()
        wanted = {f"{frame.stem}.png" for frame in files.frames}
        if lost := sorted({mask.name for mask in clip.masks.glob("*.png")} - wanted):
            raise ValueError(f"{clip.masks / lost[0]}: a mask without frame ({len(lost)} in all)")
        encoded = [image_bytes(frame) for frame in files.frames]
        first: Size = encoded[0][1]
        labels, objects = [], False
        for frame, mask, (_, size) in zip(*files, encoded, strict=True):
            if size != first:
                raise ValueError(f"{frame}: the frame is {size}, the first is {first} (H, W)")
            data, found = (
                (b"", False) if mask is None else mask_bytes(mask, clip.labels(mask), size)
            )
            labels.append(data)
            objects |= found
        if not objects:
            raise ValueError(f"{clip.masks}: no object in any mask of the clip")
        record: Record = {"frames": [data for data, _ in encoded], "labels": labels}
        if self.tree.scribbled:
            record["scribbles"] = self.tree.scribbles(self._root, clip.name)
        return record
