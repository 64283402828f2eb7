"""What the values of a mask file mean, one function a rule. All raise ValueError naming the file.

Each gives `(object, ignore)`, both `[H, W]` bool, ignore None where every pixel counts.
"""

from pathlib import Path

import numpy as np

from ivs_jax.data.files import read_image, read_values
from ivs_jax.io.images import to_rgb

Masks = tuple[np.ndarray, np.ndarray | None]

IGNORE_GREY, KNOWN_GREYS = 128, {0, 64, 128, 255}  # of GrabCut and Berkeley
VOID = 255  # of VOC and DAVIS


def read_click_mask(path: Path) -> Masks:
    """One object, the rule taken from the values themselves (Berkeley, COCO_MVal, own folders).

    {0, v}: v is the object. Greys of {0, 64, 128, 255} with a 128: as `read_trimap`. {0, 1, 255}:
    1 is the object, 255 ignored (VOC). Anything else, such as a map of instance ids, is an error:
    which object is meant would be a guess.
    """
    values = read_values(path)
    found = set(np.unique(values).tolist())
    if IGNORE_GREY in found and found <= KNOWN_GREYS:
        return values > IGNORE_GREY, values == IGNORE_GREY
    if found - {0} == {1, VOID}:
        return values == 1, values == VOID
    if len(found - {0}) > 1:
        shown = ", ".join(str(value) for value in sorted(found)[:6])
        raise ValueError(
            f"{path}: expected one object (0 and one value), found values {shown}; if they are "
            "instance ids, ask for each as an object (--instances)"
        )
    return values > 0, None


def read_trimap(path: Path) -> Masks:
    """Greys: above 128 object, 128 ignored (experiments/papers/evaluation.md, section 1.3)."""
    grey = to_rgb(read_image(path))[..., 0]  # a BMP has a palette even when it is grey
    return grey > IGNORE_GREY, grey == IGNORE_GREY


def read_union(path: Path) -> Masks:
    """All that is not black is the object: the rule of f-BRS for DAVIS and COCO_MVal."""
    return to_rgb(read_image(path)).max(-1) > 0, None


def read_instance(path: Path, number: int) -> Masks:
    """The object with id `number`; `VOID` is ignored."""
    values = read_values(path)
    void = values == VOID
    return values == number, void if void.any() else None


def instance_ids(path: Path) -> list[int]:
    """Ids in a map of instances: all values but 0 and `VOID`."""
    return sorted(set(np.unique(read_values(path)).tolist()) - {0, VOID})
