"""What all builders share: the tree is found and checked, bad records stop or are listed.

A set is a subclass of `StillBuilder` or `ClipBuilder` that says where its tree starts, which file
or folder lists each split, and what one record is made of.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from ivs_jax.data.builders.encoded import Rule, Size, ids, image_bytes, mask_bytes
from ivs_jax.data.files import listing
from ivs_jax.io.images import list_images

Record = dict[str, Any]
Example = tuple[str, Callable[[], Record]]  # its name, and what reads and checks its files

TEXT = tfds.features.Text()  # holds any bytes, stored and read without TensorFlow


class Skipped(NamedTuple):
    """A record that `skip_bad` left out, and why."""

    split: str
    name: str
    reason: str


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes one data set as array_record files.

    Attributes of a subclass:
      MANUAL_DOWNLOAD_INSTRUCTIONS: where the files are from, and the tree that is expected.
      ROOTS: folders of manual_dir in which the tree may start; the first that fits is taken.
      PARTS: what the tree must have.
      SPLITS: split -> file or folder that lists it; a split without it is left out.
      RESOLUTION: folder of frames of this resolution, for sets that have several; else empty.
    """

    VERSION = tfds.core.Version("1.0.0")
    ROOTS: tuple[str, ...] = ("",)
    PARTS: tuple[str, ...] = ()
    SPLITS: dict[str, str] = {}
    RESOLUTION = ""
    FEATURES: dict[str, Any] = {}
    # Nothing is downloaded; TFDS would look for a list of checksums with a package it does not ask
    # for (importlib_resources).
    url_infos: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        # TFDS has sets of its own with some of these names: ours stay out of its registry.
        super().__init_subclass__(skip_registration=True, **options)  # type: ignore[call-arg]

    def __init__(
        self,
        *,
        data_dir: Path,
        name: str = "",
        splits: Sequence[str] = (),
        resolution: str = "",
        skip_bad: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Prepares to write `data_dir/name/VERSION`.

        Args:
          name: of the set that is made; empty for the builder's own.
          splits: which ones to make; empty for all that are there.
          resolution: instead of RESOLUTION.
          skip_bad: leave out records that cannot be used and list them in `skipped`.
          progress: called with (done, total) records of a split.
        """
        if name:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"name {name!r}: expected small letters, digits and _, e.g. duts")
            self.name = name
        if resolution and not self.RESOLUTION:
            raise ValueError(f"{self.name}: has no resolutions to choose from, got {resolution!r}")
        self.resolution = resolution or self.RESOLUTION
        self.skipped: list[Skipped] = []
        self._wanted, self._skip_bad, self._progress = tuple(splits), skip_bad, progress
        super().__init__(data_dir=data_dir)

    def examples(self, root: Path, listed: Path) -> list[Example]:
        """The records of the split that `listed` lists, in order."""
        raise NotImplementedError

    def root(self, manual_dir: Path) -> Path:
        """Where the tree starts. Raises ValueError saying what is missing and where to get it."""
        for part in self.ROOTS:
            root = manual_dir / part
            if all((root / inner).exists() for inner in self.PARTS) and self.splits_of(root):
                return root
        missing = [inner for inner in self.PARTS if not (manual_dir / inner).exists()]
        what = missing[0] if missing else f"list of a split ({', '.join(self.SPLITS.values())})"
        raise ValueError(
            f"{manual_dir}: no {what}, found {listing(manual_dir)}. "
            f"{self.name} needs {self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )

    def splits_of(self, root: Path) -> dict[str, Path]:
        """Every split that is there, and what lists it."""
        return {s: root / path for s, path in self.SPLITS.items() if (root / path).exists()}

    def chosen_splits(self, root: Path) -> dict[str, Path]:
        """The splits to make. Raises ValueError for one that is not there."""
        found = self.splits_of(root)
        for split in self._wanted:
            if split not in found:
                known = ", ".join(found)
                raise ValueError(f"{root}: no split {split!r} of {self.name}, found {known}")
        return {split: found[split] for split in self._wanted or found}

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict({"name": TEXT} | self.FEATURES)
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Record]]]:
        root = self.root(Path(dl_manager.manual_dir))
        chosen = self.chosen_splits(root)
        return {s: self._generate_examples(root, s, path) for s, path in chosen.items()}

    def _generate_examples(
        self, root: Path, split: str, listed: Path
    ) -> Iterator[tuple[int, Record]]:
        where, good = f"{self.name}/{split}", 0
        examples = self.examples(root, listed)
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

    FEATURES = {"image": TEXT, "labels": TEXT}

    def pair(self, image: Path, mask: Path, rule: Rule = ids) -> Record:
        """The record of one image and its mask; ValueError if it has no object."""
        data, size = image_bytes(image)
        return self.still(data, *mask_bytes(mask, size, rule), where=mask)

    def still(self, image: bytes, labels: bytes, has_object: bool, *, where: object) -> Record:
        """The record of encoded bytes; a ValueError starts with `where`."""
        if not has_object:
            raise ValueError(f"{where}: no object in the mask")
        return {"image": image, "labels": labels}


class ClipBuilder(Builder):
    """Records `{"name", "frames": [JPEG or PNG], "labels": [PNG of ids, b"" = not annotated]}`."""

    FEATURES = {
        "frames": tfds.features.Sequence(TEXT),
        "labels": tfds.features.Sequence(TEXT),
    }

    def clip(self, frames: Path, masks: Path, *, complete: bool, rule: Rule = ids) -> Record:
        """The record of a folder of frames and one of masks with the same stems.

        `complete`: every frame must have a mask. Raises ValueError naming file or folder for
        frames of several sizes, a mask without a frame, and no object in any mask.
        """
        for folder in (frames, masks):
            if not folder.is_dir():
                raise ValueError(f"{folder}: no such folder")
        images = list_images(frames)
        self._check_names(images, masks, complete=complete)
        encoded = [image_bytes(image) for image in images]
        first: Size = encoded[0][1]
        labels, objects = [], False
        for image, (_, size) in zip(images, encoded, strict=True):
            if size != first:
                raise ValueError(f"{image}: the frame is {size}, the first is {first} (H, W)")
            mask = masks / f"{image.stem}.png"
            data, found = mask_bytes(mask, size, rule) if mask.is_file() else (b"", False)
            labels.append(data)
            objects |= found
        if not objects:
            raise ValueError(f"{masks}: no object in any mask of the clip")
        return {"frames": [data for data, _ in encoded], "labels": labels}

    def _check_names(self, images: list[Path], masks: Path, *, complete: bool) -> None:
        stems = {image.stem for image in images}
        found = {mask.stem for mask in masks.glob("*.png")}
        if lost := sorted(found - stems):
            raise ValueError(f"{masks / lost[0]}.png: a mask without frame ({len(lost)} in all)")
        if complete and (missing := sorted(stems - found)):
            raise ValueError(f"{masks}: no {missing[0]}.png ({len(missing)} missing)")
