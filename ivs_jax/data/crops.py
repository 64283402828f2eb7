"""Random square windows of frames, and how they are resampled, on the host (Pillow, NumPy)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

Drawn = TypeVar("Drawn")
Box = tuple[float, float, float, float]
MOST_DRAWS = 200
_BEYOND = 0.06  # of its side a window may reach over the border of a frame that holds it
_SMALLEST = 24.0  # pixels; tiny objects count as this long, so that their windows show something


@dataclass(frozen=True)
class Windows:
    """Which windows of a frame are drawn; all of them show the object.

    Attributes:
      whole: share of windows whose side follows the frame (what a first click sees), not the
        object (what later clicks see, after zooming in).
      frame: range of their side, times the longest side of the frame.
      zoom: range of the side of the others, times the longest side of the object's box; a wide
        range makes a network that does not mind the size of objects.
      rescale: if given, all sides are instead the window's over a factor from this range: crops
        of the rescaled frame, as in f-BRS (experiments/papers/brs.md, section B7) and STM
        (experiments/papers/stm.md, section 3).
      magnify: most pixels of a window for one of the frame; smaller windows grow to that. Magnified
        frames are blurred, and users' frames are not.
    """

    whole: float = 0.4
    frame: tuple[float, float] = (0.75, 1.05)
    zoom: tuple[float, float] = (1.1, 2.2)
    rescale: tuple[float, float] | None = None
    magnify: float = math.inf

    def __post_init__(self) -> None:
        for name in ("frame", "zoom", "rescale"):
            found = getattr(self, name)
            if found is not None and not 0 < found[0] <= found[1]:
                raise ValueError(f"windows: {name} is {found}, expected 0 < low <= high")
        if not 0 <= self.whole <= 1:
            raise ValueError(f"windows: whole is {self.whole}, expected a share in [0, 1]")
        if not self.magnify > 0:
            raise ValueError(f"windows: magnify is {self.magnify}, expected more than 0")

    def draw(self, mask: np.ndarray, rng: np.random.Generator, size: int) -> Box:
        """A window of `size` pixels a side around `mask` `[H, W]`, in pixel edges of the frame.

        It holds the object if it is large enough for it, else a part. It may reach over the border.
        """
        x0, y0, x1, y1 = box = bounding_box(mask)
        side = self._side(mask.shape, max(x1 - x0, y1 - y0), rng, size)
        if side >= max(x1 - x0, y1 - y0):
            free = (side - (x1 - x0)) / 2, (side - (y1 - y0)) / 2
            cx = (x0 + x1) / 2 + rng.uniform(-0.8, 0.8) * free[0]
            cy = (y0 + y1) / 2 + rng.uniform(-0.8, 0.8) * free[1]
        else:
            cx, cy = _inside(mask, box, rng) + rng.uniform(-0.4, 0.4, 2) * side
        height, width = mask.shape
        cx, cy = _clipped(cx, side, width), _clipped(cy, side, height)
        return cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2

    def _side(
        self, shape: tuple[int, ...], extent: float, rng: np.random.Generator, size: int
    ) -> float:
        longest = max(shape)
        if self.rescale is not None:
            side = size / _log_uniform(rng, self.rescale)
        elif rng.random() < self.whole:
            side = longest * rng.uniform(*self.frame)
        else:
            side = max(extent, _SMALLEST) * _log_uniform(rng, self.zoom)
        # At most a bit more than the whole frame: windows of black teach nothing.
        return min(max(side, size / self.magnify), max(1.2, self.frame[1]) * longest)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def _inside(mask: np.ndarray, box: Box, rng: np.random.Generator) -> np.ndarray:
    """(x, y) of a random pixel of the object."""
    x0, y0, x1, y1 = (int(v) for v in box)
    inner = mask[y0:y1, x0:x1]
    row, column = divmod(int(rng.choice(np.flatnonzero(inner))), inner.shape[1])
    return np.array([x0 + column + 0.5, y0 + row + 0.5])


def _clipped(centre: float, side: float, length: int) -> float:
    """The centre moved so that a window shows little of what lies outside the frame."""
    ends = side / 2 - _BEYOND * side, length - side / 2 + _BEYOND * side
    return min(max(centre, min(ends)), max(ends))


def drawn(draw: Callable[[], Drawn | None], sets: tuple[str, ...]) -> Drawn:
    """The first result of `draw` that is not None.

    Raises ValueError naming `sets` after 200 others: no endless loop.
    """
    for _ in range(MOST_DRAWS):
        result = draw()
        if result is not None:
            return result
    reason = "too few or too small objects for this sampler"
    raise ValueError(f"{', '.join(sets)}: no sample in {MOST_DRAWS} draws: {reason}")


def bounding_box(mask: np.ndarray) -> Box:
    """`(x0, y0, x1, y1)` pixel edges of the True pixels of `mask` `[H, W]` (must not be empty)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def window_matrix(box: Box) -> np.ndarray:
    """3 x 3 matrix from the unit window, centred at 0, to the pixels of `box`; for `warp`."""
    x0, y0, x1, y1 = box
    return np.array([[x1 - x0, 0, (x0 + x1) / 2], [0, y1 - y0, (y0 + y1) / 2], [0, 0, 1.0]])


def crop(pixels: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Resizes the window `box` of uint8 `pixels` to `size` x `size`; 0 beyond the border.

    Images `[H, W, 3]` are resampled bilinearly with antialiasing, labels `[H, W]` to the nearest.
    """
    x0, y0, x1, y1 = (round(v) for v in box)
    edges = x0, y0, max(x1, x0 + 2), max(y1, y0 + 2)
    method = Image.Resampling.BILINEAR if pixels.ndim == 3 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).crop(edges).resize((size, size), method))


def warp(
    pixels: np.ndarray, matrix: np.ndarray, size: int, *, bend: np.ndarray | None = None
) -> np.ndarray:
    """Samples uint8 `pixels` at the unit window `matrix` to `size` x `size`; 0 beyond the border.

    Images `[H, W, 3]` are resampled bilinearly (bicubically where they are magnified, averaged
    first where they shrink to less than half), labels `[H, W]` to the nearest. `bend`
    `[G + 1, G + 1, 2]` moves the corners of a G x G grid on the window, in units of its side;
    between corners it is interpolated.
    """
    image, method = Image.fromarray(pixels), Image.Resampling.NEAREST
    if pixels.ndim == 3:
        scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / size  # frame pixels a pixel
        method = Image.Resampling.BICUBIC if scale < 1 else Image.Resampling.BILINEAR
        if scale >= 2:
            image = image.reduce(int(scale))
            matrix = np.diag([1 / int(scale), 1 / int(scale), 1]) @ matrix
    if bend is not None:
        cells = _cells(matrix, size, bend)
        return np.asarray(image.transform((size, size), Image.Transform.MESH, cells, method))
    to_unit = np.array([[1 / size, 0, -0.5], [0, 1 / size, -0.5], [0, 0, 1]])
    affine = tuple((matrix @ to_unit)[:2].ravel())
    return np.asarray(image.transform((size, size), Image.Transform.AFFINE, affine, method))


def _cells(
    matrix: np.ndarray, size: int, bend: np.ndarray
) -> list[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """The grid as Pillow's mesh: boxes of the window, and the four corners of each in the frame."""
    count = len(bend) - 1
    edges = [round(size * i / count) for i in range(count + 1)]
    along = np.array(edges) / size - 0.5
    unit = np.stack(np.meshgrid(along, along), -1) + bend  # [G + 1, G + 1, (x, y)]
    at = unit @ matrix[:2, :2].T + matrix[:2, 2][None, None]
    return [
        (
            (edges[c], edges[r], edges[c + 1], edges[r + 1]),
            (*at[r, c], *at[r + 1, c], *at[r + 1, c + 1], *at[r, c + 1]),  # nw, sw, se, ne
        )
        for r in range(count)
        for c in range(count)
    ]
