"""Sequences in any pair of folders: files of the same names, or folders of them, one a sequence."""

from collections.abc import Sequence
from pathlib import Path

from ivs_jax.data.layouts.masks import read_ids
from ivs_jax.data.layouts.tree import ClipFolders
from ivs_jax.io.images import natural_key


def folder_pair(
    frames: Path, masks: Path, *, names: Sequence[str] | None = None
) -> list[ClipFolders]:
    """The sequences of `masks`, or those of `names`, with their frames, which lie as they do.

    A frame and its mask have the same stem. Raises ValueError for a sequence that is not there.
    """
    return [
        ClipFolders(name, frames if folder == masks else frames / name, folder, read_ids, True)
        for name, folder in sequence_folders(masks, names).items()
    ]


def sequence_folders(root: Path, names: Sequence[str] | None = None) -> dict[str, Path]:
    """Name -> folder: the folders in `root`, or `root` itself under its name if there are none.

    In natural order, or `names` in theirs. Raises ValueError for a folder that is not there.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder, expected one of masks or of sequences")
    inside = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    inside.sort(key=lambda path: natural_key(path.name))
    found = {path.name: path for path in inside} or {root.resolve().name: root}
    for name in names or ():
        if name not in found:
            raise ValueError(f"{root}: no sequence {name!r}, found {', '.join(list(found)[:5])}")
    return {name: found[name] for name in names or found}
