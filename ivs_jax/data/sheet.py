"""Pictures of a set, to look at what a training run would see."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ivs_jax.data.clips import Clip
from ivs_jax.data.stills import VOID, Still
from ivs_jax.io import contact_sheet, overlay

_VOID_GREY = 160


def set_sheet(found: Sequence[Still] | Sequence[Clip], *, count: int) -> Image.Image:
    """Up to `count` evenly spread elements with their masks; void is flat grey.

    A clip is shown by its first frame with an object. Titles tell position or name, the number of
    objects, and of a clip its frames and how many of them are annotated.
    """
    if count < 1:
        raise ValueError(f"count is {count}, expected at least 1")
    picks = sorted({round(x) for x in np.linspace(0, len(found) - 1, count)})
    pictures, titles = zip(*(_picture(i, found[i]) for i in picks), strict=True)
    return contact_sheet(pictures, titles, columns=min(4, len(picks)))


def _picture(index: int, element: Still | Clip) -> tuple[np.ndarray, str]:
    if isinstance(element, Still):
        title = f"{index}, objects: {_objects(element.labels)}"
        return _painted(element.image, element.labels), title
    frame, labels = _first_object(element)
    counts = f"{len(element)} frames, {len(element.annotated)} annotated"
    title = f"{element.name}, objects: {_objects(labels)}, {counts}"
    return _painted(element.frame(frame), labels), title


def _first_object(clip: Clip) -> tuple[int, np.ndarray]:
    for frame in clip.annotated:
        labels = clip.labels(frame)
        if labels is not None and _objects(labels):
            return frame, labels
    raise ValueError(f"{clip.name}: no object in any of {len(clip.annotated)} masks")


def _painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    void = labels == VOID
    painted = overlay(image, np.where(void, 0, labels))
    painted[void] = _VOID_GREY
    return painted


def _objects(labels: np.ndarray) -> int:
    return len(set(np.unique(labels).tolist()) - {0, VOID})
