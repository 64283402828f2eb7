"""Checkpoints of a run: written in the background, whole or not at all, verified when read.

Orbax writes a checkpoint under a temporary name and renames it when all of it is on disk, so that a
process killed at any moment leaves only whole ones. What a disk does to it later Orbax notices in
part (a byte changed within an array goes unnoticed), so that each carries a checksum of its own.
"""

import json
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

DAMAGED = "damaged"


class CheckpointWarning(UserWarning):
    """A checkpoint was damaged and an older one is used."""


class Restored(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      step: steps done.
      state: of the shapes of the state that it was asked for, arrays of NumPy.
      notes: what was saved beside it, plain JSON.
    """

    step: int
    state: Any
    notes: dict[str, Any]


class Checkpoints:
    """The checkpoints `folder/<step>`; a context manager, whose end waits for the last write.

    The last `keep` stay, and the one of the best score. With several processes, all call every
    method and `folder` is one that they share; process 0 writes.
    """

    def __init__(self, folder: Path, *, keep: int = 3) -> None:
        if keep < 2:
            raise ValueError(f"keep: expected 2 or more checkpoints, found {keep}")
        self.folder = folder.resolve()  # Orbax wants an absolute path
        self._keep = keep
        self._writer: ocp.training.Checkpointer | None = None
        self._scores: dict[int, float] = {}
        logging.set_verbosity(logging.ERROR)  # Orbax reports every save

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, damaged ones too, in order."""
        return list_steps(self.folder)

    def restore(self, like: Any) -> Restored | None:
        """The newest checkpoint that is whole, for a state of the shapes of `like`.

        A damaged one is moved to `<step>.damaged`, with a CheckpointWarning, and the one before is
        taken; None where there is none at all. Call it before `save`. Raises ValueError if all are
        damaged, or naming the array that is of another network.
        """
        found = self.steps()
        _meet("checkpoints listed")
        for step in reversed(found):
            try:
                arrays, notes = read_checkpoint(self.folder / str(step))
            except ValueError as error:
                moved = self._set_aside(step)
                older = "the one before is tried" if step != found[0] else "no other is left"
                warnings.warn(f"{error}; kept as {moved.name}, {older}", CheckpointWarning, 2)
                continue
            return Restored(step, unflattened(arrays, like, self.folder / str(step)), notes)
        if found:
            raise ValueError(
                f"{self.folder}: all {len(found)} checkpoints are damaged. Move the folder away to "
                "start again"
            )
        return None

    def save(
        self, step: int, state: Any, notes: Mapping[str, Any], *, score: float | None = None
    ) -> None:
        """Starts to write a checkpoint and returns when `state` has been copied.

        It waits for the write before, should that still be under way, and raises what went wrong
        with it. A step that is already there stays as it is. `score`: the larger the better;
        `notes`: plain JSON.
        """
        writer = self._open()
        if any(found.step == step for found in writer.checkpoints):
            return
        arrays = {name: np.array(leaf) for name, leaf in flattened(state).items()}
        record = {"notes": dict(notes), "checksum": _checksum(arrays, notes), "score": score}
        if score is not None:
            self._scores[step] = score
        writer.save_async(step, arrays, force=True, custom_metadata=record)

    def wait(self) -> None:
        """Returns when all that was saved is on disk."""
        if self._writer is not None:
            self._writer.wait()

    def best(self) -> int | None:
        """Step of the checkpoint with the best score; None where none has one."""
        self._open()
        return max(self._scores, key=self._scores.__getitem__, default=None)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Orbax's question after each save: which of these, in order, are to stay?"""
        first, best = len(checkpoints) - self._keep, self.best()
        return [i >= first or found.step == best for i, found in enumerate(checkpoints)]

    def _open(self) -> ocp.training.Checkpointer:
        if self._writer is None:
            for step in self.steps():
                try:
                    score = _record(self.folder / str(step)).get("score")
                except ValueError as error:  # which Orbax would stumble over
                    moved = self._set_aside(step)
                    warnings.warn(f"{error}; kept as {moved.name}", CheckpointWarning, 3)
                    continue
                if score is not None:
                    self._scores[step] = score
            self._writer = ocp.training.Checkpointer(
                self.folder, preservation_policy=self, cleanup_tmp_directories=True
            )
        return self._writer

    def _set_aside(self, step: int) -> Path:
        """Renames a checkpoint, so that its step can be saved again and nothing is lost."""
        source = self.folder / str(step)
        number, target = 1, source.with_name(f"{step}.{DAMAGED}")
        while target.exists():
            number += 1
            target = source.with_name(f"{step}.{DAMAGED}{number}")
        _meet(f"checkpoint {step} read")
        if jax.process_index() == 0:
            source.rename(target)
        _meet(f"checkpoint {step} set aside")
        return target


def list_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, damaged ones too, in order."""
    return sorted(int(p.name) for p in folder.glob("*") if p.is_dir() and p.name.isdecimal())


def best_step(folder: Path) -> int:
    """The step with the best score, else the last one, of a run that need not have ended.

    Raises ValueError naming the folder if there is no checkpoint.
    """
    steps = list_steps(folder)
    if not steps:
        raise ValueError(f"{folder}: no checkpoint there")
    scores = {step: _record(folder / str(step)).get("score") for step in steps}
    found = {step: score for step, score in scores.items() if score is not None}
    return max(found, key=found.__getitem__, default=steps[-1])


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name (`params.encoder.stem.kernel`) and notes of the checkpoint `path`.

    Raises ValueError naming it if it is not whole.
    """
    record = _record(path)
    try:
        arrays = ocp.load(path.resolve())
        notes = record["notes"]
        whole = _checksum(arrays, notes) == record["checksum"]
    except Exception as error:  # whatever the libraries below make of a damaged file
        reason = type(error).__name__
        raise ValueError(f"{path}: checkpoint is damaged, cannot be read ({reason})") from error
    if not whole:
        raise ValueError(f"{path}: checkpoint is damaged, its checksum is not that of its content")
    return arrays, notes


def _record(path: Path) -> dict[str, Any]:
    """What `save` wrote beside the arrays; it may be empty where a file is missing."""
    try:
        return dict(ocp.metadata(path.resolve()).custom_metadata or {})
    except Exception as error:  # as above
        reason = type(error).__name__
        raise ValueError(f"{path}: checkpoint is damaged, cannot be read ({reason})") from error


def flattened(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by the dotted names of their places."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="."): leaf for p, leaf in leaves}


def unflattened(arrays: Mapping[str, np.ndarray], like: Any, path: Path) -> Any:
    """`arrays` by name as a tree like `like`; ValueError naming `path` and what does not fit."""
    expected = flattened(like)
    for name in sorted(expected.keys() ^ arrays.keys()):
        state = "is missing" if name in expected else "does not belong to this network or optimiser"
        raise ValueError(f"{path}: {name} {state}")
    for name, leaf in expected.items():
        if arrays[name].shape != leaf.shape:
            found = f"{arrays[name].shape}, this run has {leaf.shape}"
            raise ValueError(f"{path}: {name} is {found}")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected])


def _meet(where: str) -> None:
    """All processes wait for each other."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(where)


def _checksum(arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> int:
    value = zlib.crc32(json.dumps(notes, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(array.reshape(-1).view(np.uint8).data, value)
    return value
