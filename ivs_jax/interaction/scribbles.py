"""Scribbles of simulated users for training, on the host (experiments/papers/ipn.md, section 9.3).

IPN's own rule is not known; this is what Scribble-to-Mask does: every connected part of a region
gets Bezier strokes inside it, strokes along its border, or its skeleton. Strokes are one pixel wide
and then dilated as IPN's (experiments/papers/ipn.md, section 5).
"""

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

_CROSS = ndimage.generate_binary_structure(2, 1)
_SECOND = 0.3  # share of the parts that get a second kind of stroke
_LEAST_PART = 30  # pixels; smaller parts get no scribble, unless all are smaller
_CANDIDATES = 10  # Bezier curves of which the longest is taken


def draw_scribbles(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scribbles `[H, W]` bool over `region` `[H, W]` bool, not dilated.

    Each connected part that is large enough gets at least one pixel inside it. Bezier strokes may
    leave the region by 3 to 7 pixels, as users' do. All False for an empty region.
    """
    parts, count = ndimage.label(region)
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    least = min(_LEAST_PART, areas.max(initial=0))
    out = np.zeros(region.shape, bool)
    for index, place in enumerate(ndimage.find_objects(parts), start=1):
        if areas[index - 1] < least:
            continue
        margin = tuple(slice(max(s.start - 8, 0), s.stop + 8) for s in place)
        out[margin] |= _strokes(parts[margin] == index, rng)
    return out


def dilated(scribbles: np.ndarray) -> np.ndarray:
    """Scribbles `[H, W]` bool as IPN sees them: twice dilated by a 3 x 3 cross."""
    return ndimage.binary_dilation(scribbles, _CROSS, iterations=2)


def background_scribbles(
    target: np.ndarray, free: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """One or two Bezier strokes `[H, W]` bool beside the object `target`, where `free`.

    They keep 3 pixels away from the object and lie within half its size of it, where a mask would
    spill over. All False where there is no such place.
    """
    reach = 3 + max(8.0, 0.5 * np.sqrt(target.sum()))
    distance = ndimage.distance_transform_edt(~target)
    ring = (distance > 3) & (distance <= reach) & free
    out = np.zeros(target.shape, bool)
    for _ in range(int(rng.integers(1, 3)) if ring.any() else 0):
        out |= _bezier(ring, rng, ring)
    return out


def _strokes(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kinds = (_beziers, _border, _skeleton)
    first, second = rng.choice(len(kinds), 2, replace=False)
    found = kinds[first](part, rng)
    if rng.random() < _SECOND:
        found |= kinds[second](part, rng)
    if not (found & part).any():  # borders and skeletons of small parts can come out empty
        found |= _skeleton(part, rng)
    return found


def _beziers(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two or three quadratic curves, each the longest of some, in the part and a little beyond."""
    allowed = ndimage.binary_dilation(part, _CROSS, iterations=int(rng.integers(3, 8)))
    out = np.zeros(part.shape, bool)
    for _ in range(int(rng.integers(2, 4))):
        out |= _bezier(part, rng, allowed)
    return out


def _bezier(start: np.ndarray, rng: np.random.Generator, allowed: np.ndarray) -> np.ndarray:
    """The longest of some curves through three pixels of `start`, cut to where it is `allowed`."""
    flat = np.flatnonzero(start)
    points = np.stack(np.divmod(rng.choice(flat, (_CANDIDATES, 3)), start.shape[1]), -1)
    t = np.linspace(0, 1, 2 * max(start.shape))
    basis = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], -1)
    curves = np.rint(np.einsum("tk,ckx->ctx", basis, points)).astype(np.int64)
    inside = allowed[curves[..., 0], curves[..., 1]]
    steps = np.abs(np.diff(curves, axis=1)).max(-1) > 0
    best = int(np.argmax((steps & inside[:, 1:]).sum(1)))
    out = np.zeros(start.shape, bool)
    rows, columns = curves[best][inside[best]].T
    out[rows, columns] = True
    return out


def _border(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The outline of the part made smaller by 3 to 50 pixels, broken at random places."""
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    radius = min(rng.uniform(3, 50), 0.7 * depth.max())
    inner = depth > radius
    outline = inner & ~ndimage.binary_erosion(inner, _CROSS)
    for row, column in rng.integers(0, part.shape, (int(rng.integers(0, 5)), 2)):
        reach = int(rng.integers(3, 12))
        outline[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] = False
    return outline


def _skeleton(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The part thinned to lines."""
    return skeletonize(part)
