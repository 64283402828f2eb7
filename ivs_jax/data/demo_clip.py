"""A short clip of a real scene, made without a download: a camera passes a motorcycle.

scikit-image ships the pair `motorcycle_left` / `motorcycle_right` of the Middlebury 2014 stereo
benchmark with its measured disparities (see `skimage.data.stereo_motorcycle`). Every frame is the
view of a camera on its way from the left to the right position, rendered from both photographs, so
near things truly pass in front of far ones; a pan, a zoom, a slight rotation and a slow change of
brightness come on top.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter, median_filter

SIZE = (320, 480)  # height and width of a frame
FPS = 12

# In pixels of the left photograph: first the engine, then the two wheels that are still missing.
_CLICKS = (((379.0, 287.0), 1), ((572.0, 360.0), 1), ((175.0, 331.0), 1))

_EDGE = (3, 9)  # rows and columns around a depth edge in which colours of both sides may mix
_MAX_SHIFT = 1.0  # pixels by which a colour may be misplaced before it is not used


@dataclass(frozen=True)
class DemoClip:
    """The clip, and clicks that a user would make on it.

    Attributes:
      path: the mp4 file.
      frames: number of frames.
      size: (height, width) of a frame in pixels.
      points: `(x, y)` in pixels of frame 0: the first click, then corrections.
      labels: 1 object, 0 background, one per point.
      subject: what the clicks mark, in words.
    """

    path: Path
    frames: int
    size: tuple[int, int]
    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]
    subject: str = "the motorcycle"


class _Photo(NamedTuple):
    """One of the two photographs.

    Attributes:
      pixels: `[H, W, 3]` float32 in [0, 255].
      disparity: `[H, W]` float32, shift in pixels from the left to the right photograph.
      nearest: `[H, W]` float32, the largest disparity around each pixel.
    """

    pixels: np.ndarray
    disparity: np.ndarray
    nearest: np.ndarray


def write_demo_clip(path: str | Path, *, frames: int = 36) -> DemoClip:
    """Writes the clip as an H.264 mp4 of 480 x 320 pixels and returns it with clicks for frame 0.

    The result is deterministic: the same `frames` gives the same file. Raises ValueError for fewer
    than 2 frames.
    """
    if frames < 2:
        raise ValueError(f"frames must be at least 2, found {frames}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    left, right = _stereo_pair()
    progress = np.linspace(0, 1, frames)
    with av.open(str(path), "w", format="mp4") as container, ThreadPoolExecutor() as pool:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "14"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the encoded bytes depend on it
        for image in pool.map(partial(_frame, left, right), progress.tolist()):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    points = tuple(_to_frame(point, 0.0) for point, _ in _CLICKS)
    return DemoClip(path, frames, SIZE, points, tuple(label for _, label in _CLICKS))


def _frame(left: _Photo, right: _Photo, progress: float) -> np.ndarray:
    """The frame `[320, 480, 3]` uint8 at `progress` in [0, 1] of the camera's way."""
    view = _view(left, right, progress)
    matrix, offset = _camera(progress)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    at = np.tensordot(matrix, np.stack([x, y]), 1) + offset[:, None, None]
    # A frame pixel covers up to 1.5 x 1.5 pixels of the view: blur a little against aliasing.
    image = _sample(gaussian_filter(view, (0.5, 0.5, 0)), at[0], at[1])
    brightness = 1 + 0.08 * np.sin(2 * np.pi * progress)
    return np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8)


def _camera(progress: float) -> tuple[np.ndarray, np.ndarray]:
    """Matrix `[2, 2]` and offset `[2]` that take (x, y) of a frame to (x, y) of the view.

    The camera moves in until the motorcycle fills the frame, and sways as if held by hand.
    """
    scale = (465 - 60 * progress) / SIZE[0]
    sway = np.sin(2 * np.pi * (1.5 * progress + np.array([0.25, 0.0])))
    centre = np.array([372 - 30 * progress, 250 + 12 * progress]) + sway * np.array([6, 6])
    angle = np.deg2rad(1.2) * np.sin(2 * np.pi * progress)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = scale * np.array([[cos, -sin], [sin, cos]])
    middle = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    return matrix, centre - matrix @ middle


def _to_frame(point: tuple[float, float], progress: float) -> tuple[float, float]:
    """Where `point` (x, y) of the view lies in the frame, rounded to a tenth of a pixel."""
    matrix, offset = _camera(progress)
    x, y = np.linalg.solve(matrix, np.array(point) - offset)
    return round(float(x), 1), round(float(y), 1)


def _stereo_pair() -> tuple[_Photo, _Photo]:
    folder = files("skimage") / "data"

    def pixels(name: str) -> np.ndarray:
        with (folder / name).open("rb") as file, Image.open(file) as image:
            return np.asarray(image.convert("RGB"), np.float32)

    with (folder / "motorcycle_disp.npz").open("rb") as file, np.load(file) as archive:
        measured = archive["arr_0"]
    disparity = median_filter(_fill_gaps(measured), 3)

    def photo(name: str, position: float) -> _Photo:
        own = _disparity_at(disparity, position)
        return _Photo(pixels(name), own, maximum_filter(own, _EDGE))

    return photo("motorcycle_left.png", 0.0), photo("motorcycle_right.png", 1.0)


def _fill_gaps(disparity: np.ndarray) -> np.ndarray:
    """Gives every unknown (not finite) pixel the farther of its known neighbours in the row.

    What a camera cannot see lies behind something nearer, hence the smaller disparity.
    """
    height, width = disparity.shape
    known, column, row = np.isfinite(disparity), np.arange(width), np.arange(height)[:, None]
    before = np.maximum.accumulate(np.where(known, column, -1), axis=1)
    after = np.where(known, column, width)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    left = np.where(before >= 0, disparity[row, before], np.inf)
    right = np.where(after < width, disparity[row, np.minimum(after, width - 1)], np.inf)
    return np.minimum(left, right).astype(np.float32)


def _disparity_at(disparity: np.ndarray, position: float) -> np.ndarray:
    """Disparity `[H, W]` as seen from `position` in [0, 1], 0 = left and 1 = right photograph."""
    if position == 0:
        return disparity
    order = np.argsort(disparity, axis=None, kind="stable")  # near pixels overwrite far ones
    rows, columns = np.divmod(order, disparity.shape[1])
    values = disparity.ravel()[order]
    columns = np.rint(columns - position * values).astype(np.int64)
    inside = (columns >= 0) & (columns < disparity.shape[1])
    seen = np.full(disparity.shape, np.nan, np.float32)
    seen[rows[inside], columns[inside]] = values[inside]
    return median_filter(_fill_gaps(seen), 3)


def _view(left: _Photo, right: _Photo, position: float) -> np.ndarray:
    """What a camera at `position` in [0, 1] between the two sees, `[H, W, 3]` float32."""
    depth = _disparity_at(left.disparity, position)
    y, x = np.mgrid[: depth.shape[0], : depth.shape[1]]
    total = np.zeros((*depth.shape, 1), np.float32)
    view = np.zeros((*depth.shape, 3), np.float32)
    for photo, away in ((left, position), (right, position - 1)):
        from_x = x + away * depth
        # The photograph shows another surface there, or mixes in the nearer one beside it.
        hidden = depth - _nearest_pixel(photo.disparity, from_x, y)
        mixed = _nearest_pixel(photo.nearest, from_x, y) - depth
        good = abs(away) * np.maximum(hidden, mixed) < _MAX_SHIFT
        good &= (from_x >= 0) & (from_x <= depth.shape[1] - 1)
        weight = (good * (1.02 - abs(away)))[..., None].astype(np.float32)
        view += weight * _sample(photo.pixels, from_x, y)
        total += weight
    view /= np.maximum(total, 1e-6)
    return _fill_holes(view, total[..., 0] > 0)


def _fill_holes(view: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fills unknown pixels with the mean colour of the known ones around them."""
    for sigma in (1.5, 4.5, 13.5):
        if known.all():
            break
        smooth = partial(gaussian_filter, axes=(0, 1), sigma=sigma, truncate=2.0)
        share = smooth(known.astype(np.float32))[..., None]
        close = (share[..., 0] > 0.02) & ~known
        mean = smooth(view * known[..., None]) / np.maximum(share, 1e-6)
        view = np.where(close[..., None], mean, view)
        known = known | close
    return view


def _sample(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of `pixels` `[H, W, 3]` at x and y `[h, w]`; edges are mirrored."""
    channels = [map_coordinates(pixels[..., c], [y, x], order=1, mode="mirror") for c in range(3)]
    return np.stack(channels, axis=-1)


def _nearest_pixel(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The value `[H, W]` at the pixel nearest to x in row y."""
    return values[y, np.clip(np.rint(x).astype(np.int64), 0, values.shape[1] - 1)]
