"""The scribble robot of the DAVIS interactive challenge: a simulated user that draws over errors.

As in experiments/papers/evaluation.md, section 4.2: the error of an id is opened by a disk, thinned
to its medial axis, each connected part of that made a tree, and the longest path of the tree
smoothed into a Bezier curve.

Where that page leaves room: strokes are in pixels of the frame (the published robot divides by the
size, its renderer multiplies by the size less one, a shift of up to a pixel); a disk has its centre
on a pixel whatever its radius; "delete the heaviest edge of every cycle" is a minimum spanning
tree, and which of equally heavy edges goes is SciPy's choice.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.special import gammaln, xlog1py, xlogy

from ivs_jax.interaction.events import Stroke

_KERNEL = 0.2  # diameter of the opening disk, as a share of the root of the error's area
_LARGEST_RADIUS = 16.0
_LEAST_NODES = 4  # of a part of the medial axis that gets a stroke
_CURVE = 1000  # points of a Bezier curve


def robot_scribbles(
    prediction: np.ndarray, truth: np.ndarray, objects: Iterable[int], seed: int = 0
) -> tuple[Stroke, ...]:
    """Strokes over what is wrong on one frame, those of the background first, then by id.

    Args:
      prediction: `[H, W]` uint8 ids, the present masks; zeros before the first round.
      truth: `[H, W]` uint8 ids. Pixels of ids other than 0 and `objects` (void) are never wrong.
      objects: ids that may get strokes, besides 0 = background.
      seed: breaks the ties of the medial axis; the same seed gives the same strokes.

    A stroke's path is a chain of neighbouring pixels. An id with errors that are small or thin gets
    no stroke, one with several errors several. As published, the smoothing may carry a stroke a
    little out of the error where it is strongly bent.

    Raises ValueError for arrays that are not 2-D uint8 of one shape.
    """
    for name, labels in (("prediction", prediction), ("truth", truth)):
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise ValueError(f"{name} must be [H, W] uint8, found {labels.shape} {labels.dtype}")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction is {prediction.shape}, truth is {truth.shape}: must agree")
    return tuple(
        Stroke(number, path)
        for number in (0, *sorted(set(objects) - {0}))
        for path in _strokes((truth == number) & (prediction != number), seed)
    )


def _strokes(error: np.ndarray, seed: int) -> Iterator[tuple[tuple[float, float], ...]]:
    """Paths `((x, y), ...)` over the error `[H, W]` bool."""
    rows, columns = np.flatnonzero(error.any(1)), np.flatnonzero(error.any(0))
    if not len(rows):
        return
    # One more pixel on each side, where the frame has one, gives the distances of the whole frame.
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    box = error[top : rows[-1] + 2, left : columns[-1] + 2]
    for path in longest_paths(medial_axis(opened(box), seed)):
        curve = np.rint(bezier(path.astype(np.float64))).astype(np.int64) + (top, left)
        new = np.append(True, (np.diff(curve, axis=0) != 0).any(1))
        yield tuple((float(x), float(y)) for y, x in curve[new])


def opened(error: np.ndarray) -> np.ndarray:
    """`[H, W]` bool opened by the largest disk, of at most a tenth of the root of its area, that
    leaves something; unchanged where that is a pixel or less, empty where nothing is left.

    What lies beyond the frame neither erodes nor is filled.
    """
    radius = min(0.5 * _KERNEL * np.sqrt(np.count_nonzero(error)), _LARGEST_RADIUS)
    if radius <= 1 or error.all():
        return error
    depth = distance_transform_edt(error)
    while radius > 1:
        core = depth > radius
        if core.any():
            return distance_transform_edt(~core) <= radius
        radius *= 0.9
    return np.zeros_like(error)


def medial_axis(region: np.ndarray, seed: int) -> np.ndarray:
    """Medial axis `[H, W]` bool; the border of the array counts as a border of the region."""
    from skimage import morphology

    return morphology.medial_axis(np.pad(region, 1), rng=seed)[1:-1, 1:-1]


def longest_paths(skeleton: np.ndarray) -> Iterator[np.ndarray]:
    """The longest path `[n, 2]` (row, column) of each connected part of `[H, W]` bool.

    Parts (of 8 neighbours) of fewer than 4 pixels are left out. Paths are those of the most pixels
    within the `spanning_tree`.
    """
    points = np.argwhere(skeleton)
    if len(points) < _LEAST_NODES:
        return
    tree = spanning_tree(points)
    _, part = connected_components(tree, directed=False)
    _, first, sizes = np.unique(part, return_index=True, return_counts=True)
    for begin in first[sizes >= _LEAST_NODES]:
        # In a tree, whatever is farthest from anywhere is an end of a longest path.
        far = breadth_first_order(tree, begin, directed=False)[0][-1]
        order, before = breadth_first_order(tree, far, directed=False)
        path = [order[-1]]
        while path[-1] != far:
            path.append(before[path[-1]])
        yield points[path]


def spanning_tree(points: np.ndarray) -> csr_array:
    """Minimum spanning trees of pixels `[n, 2]` joined to their 8 neighbours.

    Returns `[n, n]`, the length of each edge that is left, at one of its two places.
    """
    ends = cKDTree(points).query_pairs(1.5, output_type="ndarray")
    lengths = np.sqrt(((points[ends[:, 0]] - points[ends[:, 1]]) ** 2).sum(1))
    shape = (len(points), len(points))
    return minimum_spanning_tree(csr_array((lengths, (ends[:, 0], ends[:, 1])), shape=shape))


def bezier(points: np.ndarray) -> np.ndarray:
    """The Bezier curve `[1000, 2]` of control points `[n, 2]` float64; more than 1000 points are
    returned as they are."""
    if len(points) > _CURVE:
        return points
    degree = len(points) - 1
    i, t = np.arange(degree + 1.0)[None], np.linspace(0, 1, _CURVE)[:, None]
    # Bernstein polynomials by their logarithms: the binomials of such degrees overflow.
    choose = gammaln(degree + 1) - gammaln(i + 1) - gammaln(degree - i + 1)
    return np.exp(choose + xlogy(i, t) + xlog1py(degree - i, -t)) @ points
