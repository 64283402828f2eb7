"""Folders of images and single images as frames. Sizes come from headers; pixels are lazy."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import VideoError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_ORIENTATION = 0x0112  # EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # orientations that swap width and height


class ImageFrames:
    """Frames from image files, in the order given.

    Attributes:
      names: file stems.
      size: `(H, W)` after EXIF orientation; the same for all.
      fps: None; images carry no time.
      decoded: number of images decoded so far.
    """

    fps: float | None = None

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self.names = [file.stem for file in files]
        self.size = _header_size(files[0], 0)
        self.decoded = 0
        for i, file in enumerate(files):
            size = _header_size(file, i)
            if size != self.size:
                raise VideoError(
                    f"{file}: frame {i} is {in_words(size)}, but {files[0].name} is "
                    f"{in_words(self.size)}; all frames must have the same size"
                )

    def __len__(self) -> int:
        return len(self._files)

    def read(self, frame: int, first: int) -> dict[int, np.ndarray]:
        """Decodes frame `frame` only: neighbours (`first`..) cost the same later."""
        self.decoded += 1
        image = _read_rgb(self._files[frame], frame)
        if image.shape[:2] != self.size:
            raise VideoError(
                f"{self._files[frame]}: frame {frame} is now {in_words(image.shape[:2])}, was "
                f"{in_words(self.size)} when the video was opened"
            )
        return {frame: image}

    def close(self) -> None:
        """Nothing is held open."""


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder in natural order (img2 before img10); hidden files are skipped."""
    entries = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    files = [p for p in entries if p.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        found = f"found only {sorted(p.name for p in entries)[:3]}" if entries else "it is empty"
        raise VideoError(f"{folder}: no frames, expected {' '.join(IMAGE_SUFFIXES)} files; {found}")
    files.sort(key=lambda p: natural_key(p.name))
    seen: dict[str, Path] = {}
    for file in files:
        if file.stem in seen:
            raise VideoError(
                f"{folder}: {seen[file.stem].name} and {file.name} have the same stem, expected "
                "one image per frame"
            )
        seen[file.stem] = file
    return files


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that compares runs of digits as numbers and text without case."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(p), "") if "0" <= p[0] <= "9" else (1, 0, p.lower()) for p in parts], name


def to_rgb(image: Image.Image) -> np.ndarray:
    """Any Pillow image -> uint8 `[H, W, 3]`: alpha is dropped, 16 bits keep the upper 8."""
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip at 255
        grey = (np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def oriented_rgb(image: Image.Image) -> np.ndarray:
    """uint8 `[H, W, 3]` after EXIF orientation."""
    turn = _TURNS.get(_orientation(image))
    image.load()
    return to_rgb(image if turn is None else image.transpose(turn))


def oriented_size(image: Image.Image) -> tuple[int, int]:
    """`(H, W)` after EXIF orientation; decodes nothing."""
    width, height = image.size
    return (width, height) if _orientation(image) in _SWAPPED else (height, width)


def _header_size(file: Path, frame: int) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            return oriented_size(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{file}: frame {frame} is not a readable image ({error})") from error


def _read_rgb(file: Path, frame: int) -> np.ndarray:
    try:
        with Image.open(file) as image:
            return oriented_rgb(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{file}: frame {frame} cannot be decoded ({error})") from error


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 from the header; `getexif` alone would decode a whole PNG."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def in_words(size: tuple[int, ...]) -> str:
    """`(H, W)` in words."""
    return f"{size[1]}x{size[0]} (width x height)"
