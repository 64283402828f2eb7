"""COCO run-length masks and the annotation file of a whole video."""

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from .atomic import atomic
from .masks import check_labels


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """Binary mask `[H, W]` -> COCO run lengths `{"size": [H, W], "counts": str}`, fit for JSON.

    >>> from ivs_jax import encode_rle
    >>> encode_rle(np.eye(4, dtype=bool))["size"]
    [4, 4]
    """
    if mask.ndim != 2:
        raise ValueError(f"mask is {list(mask.shape)}, expected [H, W]")
    rle = coco.encode(np.asfortranarray(mask.astype(bool), np.uint8))
    return {"size": [int(s) for s in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """COCO run lengths (compressed counts) -> uint8 `[H, W]` of 0 and 1."""
    counts = rle["counts"]
    if not isinstance(counts, str | bytes):
        raise ValueError(f"rle has counts of type {type(counts).__name__}, expected str")
    if isinstance(counts, str):
        counts = counts.encode("ascii")
    with warnings.catch_warnings():  # pycocotools 2.0 uses an array protocol older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        mask = coco.decode({"size": rle["size"], "counts": counts})
    return np.ascontiguousarray(mask)


def coco_frame(
    frame: int, name: str, labels: np.ndarray, objects: Sequence[int] | None = None
) -> dict[str, Any]:
    """One frame: `{"frame", "name", "objects": [{"id", "size", "counts", "area", "bbox"}]}`.

    `labels` `[H, W]` ids. Objects without a pixel are left out. `objects` limits the ids (default:
    all found). `area` is in pixels, `bbox` is `[x, y, width, height]`.
    """
    labels = check_labels(labels)
    present = [int(i) for i in np.unique(labels) if i]
    entries = []
    for obj in present if objects is None else [i for i in objects if i in present]:
        rle = encode_rle(labels == obj)
        rows, columns = np.nonzero(labels == obj)
        x, y = int(columns.min()), int(rows.min())
        box = [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1]
        entries.append({"id": int(obj), **rle, "area": len(rows), "bbox": box})
    return {"frame": int(frame), "name": name, "objects": entries}


def write_coco_annotations(
    path: str | os.PathLike[str],
    frames: Iterable[tuple[int, str, np.ndarray]],
    *,
    video: str,
    size: tuple[int, int],
    objects: Sequence[int] | None = None,
) -> None:
    """Writes `{"video", "height", "width", "frames": [coco_frame, ...]}`, one line a frame.

    `frames` yields `(number, name, labels [H, W])` and is consumed one by one, so the masks of a
    long video are never in memory together. Atomic: if `frames` raises, no file is written.
    """
    head = {"video": video, "height": int(size[0]), "width": int(size[1])}
    with atomic(path) as temporary, Path(temporary).open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "frames": [')
        for i, (frame, name, labels) in enumerate(frames):
            if labels.shape != tuple(size):
                raise ValueError(
                    f"frame {frame} has labels {list(labels.shape)}, expected {list(size)}"
                )
            entry = coco_frame(frame, name, labels, objects)
            file.write((",\n" if i else "\n") + json.dumps(entry))
        file.write("\n]}\n")
