"""Pictures of a report: figures, sheets, and strips of frames with the answer above the truth."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.io import contact_sheet, overlay

FRAMES = 5
_WIDTH = 240  # pixels of one frame
_QUALITY = 85  # of a JPEG
_DPI = 144  # of figures; they are shown at 72 pixels an inch, sharp on a phone's screen

Frame = Callable[[int], np.ndarray]


def figure_png(figure: Figure) -> bytes:
    """A Matplotlib figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def sheet_jpeg(
    pictures: Sequence[np.ndarray], titles: Sequence[str], *, columns: int, width: int
) -> bytes:
    """Pictures with titles in rows of `columns`, each `width` pixels wide, as a JPEG."""
    content = io.BytesIO()
    sheet = contact_sheet(pictures, titles, columns=columns, width=width)
    sheet.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def strip_jpeg(frames: Sequence[int], image: Frame, predicted: Frame, truth: Frame) -> bytes:
    """A JPEG of at most five of `frames`, evenly spread: two rows, answer and truth.

    `image` gives uint8 `[H, W, 3]`, `predicted` and `truth` ids `[H, W]` uint8 of a frame.
    """
    places = np.unique(np.linspace(0, len(frames) - 1, FRAMES).round().astype(int))
    chosen = [frames[place] for place in places]
    pictures = [overlay(image(frame), predicted(frame)) for frame in chosen]
    pictures += [overlay(image(frame), truth(frame)) for frame in chosen]
    titles = [f"frame {frame}" for frame in chosen] + ["truth"] * len(chosen)
    return sheet_jpeg(pictures, titles, columns=len(chosen), width=_WIDTH)


def extremes(scores: Mapping[str, float], count: int = 2) -> tuple[list[str], list[str]]:
    """The names with the best and with the worst scores, `count` each, none in both lists.

    Best first and worst first. Of fewer than `2 * count` names each list has half, the list of the
    best ones the odd one.
    """
    ranked = sorted(scores, key=lambda name: -scores[name])
    worst = min(count, len(ranked) // 2)
    best = min(count, len(ranked) - worst)
    return ranked[:best], ranked[len(ranked) - worst :][::-1]
