"""J and F against plain references written from the definition."""

import numpy as np
import pytest

from ivs_jax.evaluation.boundary import boundary_map, boundary_radius, f_measure
from ivs_jax.evaluation.region import Mean, iou
from ivs_jax.evaluation.vos.scores import DavisStatistics, average, statistics
from tests.evaluation.plain_scores import plain_boundary, plain_f, plain_iou


def blob(rng, shape):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    out = np.zeros(shape, bool)
    for _ in range(rng.integers(0, 4)):
        cy, cx, r = rng.random(3) * (shape[0], shape[1], max(shape) / 2)
        out |= (yy - cy) ** 2 + (xx - cx) ** 2 < r**2
    return out ^ (rng.random(shape) < 0.02)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("bound", [0.008, 0.1, 1.5, 3])
def test_j_and_f_equal_the_plain_definitions(seed, bound):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 30, 2))
    a, b = blob(rng, shape), blob(rng, shape)
    assert iou(a, b) == pytest.approx(plain_iou(a, b), abs=1e-12)
    assert (boundary_map(a) == plain_boundary(a)).all()
    assert f_measure(a, b, bound=bound) == pytest.approx(plain_f(a, b, bound), abs=1e-12)
    assert f_measure(a, b, bound=bound) == f_measure(b, a, bound=bound)


@pytest.mark.parametrize("corner", [(0, 0), (0, 19), (14, 0), (14, 19), (0, 9), (7, 19), (7, 9)])
def test_f_is_the_same_wherever_the_masks_are(corner):
    """Only a window around them is looked at, and the frame's last row and column have a rule."""
    a, b = np.zeros((2, 18, 24), bool)
    a[corner[0] : corner[0] + 4, corner[1] : corner[1] + 5] = True
    b[corner[0] + 1 : corner[0] + 4, corner[1] : corner[1] + 4] = True
    expected = plain_f(a, b, 1)
    assert 0 < expected < 1 and f_measure(a, b, bound=1) == pytest.approx(expected, abs=1e-12)


def test_empty_masks_and_the_radius_at_480p():
    empty, full = np.zeros((20, 30), bool), np.ones((20, 30), bool)
    some = empty.copy()
    some[5:9, 5:9] = True
    assert iou(empty, empty) == f_measure(empty, empty) == 1
    assert iou(some, empty) == f_measure(some, empty) == f_measure(empty, some) == 0
    assert f_measure(full, empty) == 1  # a full frame has no boundary either
    assert boundary_radius((480, 854)) == 8
    assert f_measure(some, np.roll(some, 1, 1)) == 1 > f_measure(some, np.roll(some, 2, 1))


def test_iou_leaves_ignored_pixels_out():
    a, b, ignore = np.zeros((3, 4, 4), bool)
    a[0], b[0, :2], ignore[0, 3] = True, True, True
    assert iou(a, b) == 0.5
    assert iou(a, b, ignore=ignore) == pytest.approx(2 / 3)
    assert iou(a, b, ignore=np.ones_like(a)) == 1


def test_wrong_masks_are_errors():
    mask = np.zeros((4, 5), bool)
    for measure in (iou, f_measure):
        with pytest.raises(ValueError, match=r"\(4, 5\) and \(5, 4\)"):
            measure(mask, mask.T)
        with pytest.raises(ValueError, match="uint8"):
            measure(mask.astype(np.uint8), mask)


def test_mean_merges_exactly_and_has_no_silent_nan():
    left, right = Mean().add(1).add(2), Mean().add(6)
    assert left.merge(right).value == 3
    with pytest.raises(ValueError, match="no values"):
        _ = Mean().value


def test_statistics_by_hand():
    values = [1.0, 0.8, 0.5, 0.6, 0.2]  # borders 1, 2, 3, 4, 5: quarters share a frame
    found = statistics(values)
    assert found.mean == pytest.approx(0.62)
    assert found.recall == pytest.approx(0.6)  # 0.5 itself is not above 0.5
    assert found.decay == pytest.approx(0.9 - 0.4)
    assert statistics([0.7]) == DavisStatistics(0.7, 1.0, 0.0)
    both = [DavisStatistics(1, 1, 0), DavisStatistics(0, 0, 1)]
    assert average(both) == DavisStatistics(0.5, 0.5, 0.5)


def test_decay_is_right_beyond_256_frames():
    values = np.r_[np.ones(100), np.zeros(300)]
    assert statistics(values).decay == pytest.approx(1, abs=0.02)
    assert statistics(values[::-1]).decay == pytest.approx(-1, abs=0.02)
