"""Builds a data set below `DATA/tfds`."""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ivs_jax.data.layouts.published import TREES
from ivs_jax.data.layouts.tree import ClipTree, StillTree

if TYPE_CHECKING:
    from ivs_jax.data.builders.base import Builder

FOLDER = "tfds"  # of the built sets, inside the folder of all data


def build(
    kind: str,
    manual_dir: Path,
    data: Path,
    *,
    name: str = "",
    splits: Sequence[str] = (),
    resolution: str = "",
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> "Builder":
    """Writes `data/tfds/<name>/<version>`, whole or not at all, and returns its builder.

    Args:
      kind: one of `TREES`.
      manual_dir: the files as published.
      name: of the set; default: the kind.
      splits: which ones to make; empty for all that are there.
      resolution, skip_bad, progress: see `Builder`. What was skipped is in `.skipped` and in
        `skipped.txt` of the set's folder.

    Raises ValueError naming set and file: the tree is not the one expected, a record is bad (unless
    `skip_bad`), a split is empty, or the set is built already.
    """
    if kind not in TREES:
        raise ValueError(f"no data set {kind!r}, expected one of {', '.join(TREES)}")
    tree = TREES[kind]
    make = _builder_class(tree)
    root = tree.root(manual_dir)
    builder = make(
        tree,
        root,
        tree.chosen(root, splits),
        data_dir=data / FOLDER,
        name=name or kind,
        resolution=resolution,
        skip_bad=skip_bad,
        progress=progress,
    )
    if builder.data_path.exists():
        raise ValueError(
            f"{builder.data_path}: {builder.name} is built already; remove this folder to build it "
            "again, or give another --name"
        )
    import tensorflow_datasets as tfds  # is there: the builder is made of it

    tfds.disable_progress_bar()
    with TemporaryDirectory() as downloads, redirect_stdout(StringIO()):
        builder.download_and_prepare(download_dir=downloads, file_format="array_record")
    if builder.skipped:
        lines = [f"{split}\t{name}\t{reason}\n" for split, name, reason in builder.skipped]
        (Path(builder.data_path) / "skipped.txt").write_text("".join(lines), encoding="utf-8")
    return builder


def _builder_class(tree: StillTree | ClipTree) -> "type[Builder]":
    try:
        from ivs_jax.data.builders.base import ClipBuilder, StillBuilder
    except ModuleNotFoundError as error:
        raise ValueError(f"data sets need {error.name}: pip install 'ivs_jax[data]'") from error
    return StillBuilder if isinstance(tree, StillTree) else ClipBuilder
