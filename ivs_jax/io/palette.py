"""The colour map of PASCAL VOC and DAVIS: object id -> colour."""

from functools import cache

import numpy as np


@cache
def davis_palette() -> np.ndarray:
    """Colours of ids 0..255, read-only uint8 `[256, 3]` RGB.

    The rule of the VOC development kit: the bits of the id, taken three at a time from the lowest,
    are the bits of red, green and blue from the highest down.
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for step in range(8):
            bit = (ids >> (3 * step + channel)) & 1
            colours[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    colours.flags.writeable = False
    return colours
