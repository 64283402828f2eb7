"""A strip of pictures of a sequence: frames over time, the answer above the truth."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ivs_jax.io import contact_sheet, overlay

FRAMES = 5
_WIDTH = 240  # pixels of one frame
_QUALITY = 85  # of the JPEG

Frame = Callable[[int], np.ndarray]


def strip_jpeg(
    frames: Sequence[int], image: Frame, predicted: Frame, truth: Frame, *, most: int = FRAMES
) -> bytes:
    """A JPEG of at most `most` of `frames`, evenly spread: two rows, answer and truth.

    `image` gives uint8 `[H, W, 3]`, `predicted` and `truth` ids `[H, W]` uint8 of a frame.
    """
    places = np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))
    chosen = [frames[place] for place in places]
    pictures = [overlay(image(frame), predicted(frame)) for frame in chosen]
    pictures += [overlay(image(frame), truth(frame)) for frame in chosen]
    titles = [f"frame {frame}" for frame in chosen] + ["truth"] * len(chosen)
    content = io.BytesIO()
    sheet = contact_sheet(pictures, titles, columns=len(chosen), width=_WIDTH)
    sheet.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def extremes(scores: Mapping[str, float], count: int = 2) -> tuple[list[str], list[str]]:
    """The names with the best and with the worst scores, `count` each, none in both lists.

    Best first and worst first. Of fewer than `2 * count` names each list has half, the list of the
    best ones the odd one.
    """
    ranked = sorted(scores, key=lambda name: -scores[name])
    worst = min(count, len(ranked) // 2)
    best = min(count, len(ranked) - worst)
    return ranked[:best], ranked[len(ranked) - worst :][::-1]
