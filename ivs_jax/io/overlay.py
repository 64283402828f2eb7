"""Pictures for people: coloured overlays, overlay videos and contact sheets."""

import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from ..types import OBJECT, PADDING, Clicks
from .atomic import atomic
from .masks import check_labels
from .palette import davis_palette

_ENCODERS = ("libx264", "libopenh264")  # both make H.264; which exists depends on the build
_DEFAULT_FPS = 25  # for folders of images, which carry no time
_GREEN, _RED, _WHITE = (40, 200, 60), (230, 40, 40), (255, 255, 255)


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    alpha: float = 0.5,
    clicks: Clicks | None = None,
) -> np.ndarray:
    """Paints objects over an image; returns uint8 `[H, W, 3]`.

    `image` uint8 `[H, W, 3]`, `labels` `[H, W]` ids. Each object is filled with its DAVIS colour at
    opacity `alpha` in [0, 1] and outlined. Clicks are dots with a white rim, green on the object
    and red on the background.
    """
    labels = check_labels(labels)
    if image.shape != (*labels.shape, 3) or image.dtype != np.uint8:
        raise ValueError(
            f"image is {image.dtype}{list(image.shape)}, expected uint8 {[*labels.shape, 3]}"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, expected 0..1")
    palette = davis_palette().astype(np.float32)
    result = image.copy()
    covered = labels > 0
    fill = (1 - alpha) * image[covered] + alpha * palette[labels[covered]]
    result[covered] = np.rint(fill).astype(np.uint8)
    # Palette colours are dark; half way to white the outline stands out from fill and image.
    line = _contour(labels, thickness=max(1, round(min(labels.shape) / 400)))
    result[line] = np.rint(0.5 * palette + 127.5).astype(np.uint8)[labels[line]]
    if clicks is not None:
        _draw_clicks(result, clicks)
    return result


def _contour(labels: np.ndarray, *, thickness: int) -> np.ndarray:
    """Object pixels within `thickness` steps of another label: bool `[H, W]`."""
    line = np.zeros(labels.shape, bool)
    for step in range(1, thickness + 1):
        for axis in (0, 1):
            ahead: list[slice] = [slice(None)] * 2
            behind: list[slice] = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            differ = labels[tuple(ahead)] != labels[tuple(behind)]
            line[tuple(ahead)] |= differ
            line[tuple(behind)] |= differ
    return line & (labels > 0)


def _draw_clicks(image: np.ndarray, clicks: Clicks) -> None:
    radius = max(3.0, min(image.shape[:2]) / 100)
    reach = math.ceil(radius) + 2
    for (x, y), label in zip(np.asarray(clicks.xy), np.asarray(clicks.label), strict=True):
        if label == PADDING:
            continue
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        window = image[top : int(y) + reach + 1, left : int(x) + reach + 1]  # a view
        rows, columns = np.ogrid[: window.shape[0], : window.shape[1]]
        distance = np.hypot(columns + left - x, rows + top - y)
        window[distance <= radius + 1.5] = _WHITE
        window[distance <= radius] = _GREEN if label == OBJECT else _RED


class OverlayWriter:
    """Writes an H.264 mp4 (yuv420p) frame by frame; a context manager.

        with OverlayWriter("out.mp4", video.fps, video.size) as writer:
            writer.write(overlay(image, labels))

    The file has as many frames as were written. It appears under its name when the block ends; if
    the block raises there is none. `size` is `(H, W)`; an odd side is padded by one repeated row or
    column, since the format needs even sides. `fps` None (folders of images) means 25.
    """

    def __init__(
        self, path: str | os.PathLike[str], fps: float | None, size: tuple[int, int]
    ) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() not in (".mp4", ".mov", ".mkv"):
            raise ValueError(f"{path}: suffix {self._path.suffix!r}, expected .mp4, .mov or .mkv")
        fps = _DEFAULT_FPS if fps is None else fps
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps is {fps}, expected a positive number")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._size = (int(size[0]), int(size[1]))
        self.frames = 0

    def __enter__(self) -> "OverlayWriter":
        self._file = atomic(self._path)
        temporary = self._file.__enter__()
        try:
            self._container = av.open(str(temporary), "w")
            self._stream = self._add_stream()
        except BaseException as error:
            self._file.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, image: np.ndarray) -> None:
        """Adds a frame: uint8 `[H, W, 3]` RGB of the writer's size."""
        if image.shape != (*self._size, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"{self._path}: frame {self.frames} is {image.dtype}{list(image.shape)}, "
                f"expected uint8 {[*self._size, 3]}"
            )
        odd = ((0, self._size[0] % 2), (0, self._size[1] % 2), (0, 0))
        frame = av.VideoFrame.from_ndarray(np.pad(image, odd, mode="edge"), format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            if error is None:
                if self.frames == 0:
                    raise ValueError(f"{self._path}: no frame was written, expected at least one")
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except BaseException as late:
            self._file.__exit__(type(late), late, late.__traceback__)
            raise
        if error is None:
            self._file.__exit__(None, None, None)
        else:
            self._file.__exit__(type(error), error, error.__traceback__)

    def _add_stream(self) -> VideoStream:
        name = next((n for n in _ENCODERS if n in av.codecs_available), None)
        if name is None:
            raise ValueError(f"{self._path}: this PyAV has no H.264 encoder of {_ENCODERS}")
        stream = self._container.add_stream(name, rate=self._rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = (s + s % 2 for s in self._size)
        stream.pix_fmt = "yuv420p"
        if name == "libx264":
            stream.options = {"crf": "20", "preset": "veryfast"}
        return stream


def contact_sheet(
    images: Sequence[np.ndarray], titles: Sequence[str], *, columns: int, width: int = 320
) -> Image.Image:
    """Images uint8 `[H, W, 3]` in a grid, row by row, each `width` pixels wide under its title."""
    if len(images) != len(titles) or not images:
        raise ValueError(f"{len(images)} images and {len(titles)} titles, expected as many, > 0")
    if columns < 1:
        raise ValueError(f"columns is {columns}, expected at least 1")
    margin, line = 6, 16
    cells = [Image.fromarray(i) for i in images]
    cells = [
        c.resize((width, max(1, round(c.height * width / c.width))), Image.Resampling.LANCZOS)
        for c in cells
    ]
    columns = min(columns, len(cells))
    height = max(c.height for c in cells) + line + margin
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (width + margin) + margin, rows * height + margin), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (cell, title) in enumerate(zip(cells, titles, strict=True)):
        x, y = margin + i % columns * (width + margin), margin + i // columns * height
        draw.text((x, y), title, fill="black")
        sheet.paste(cell, (x, y + line))
    return sheet
