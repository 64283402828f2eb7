"""Scribbles for training: those of the host by parts and kinds, those of the device on errors."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.interaction.error_scribbles import error_scribbles
from ivs_jax.interaction.scribbles import (
    _beziers,
    _border,
    _skeleton,
    background_scribbles,
    dilated,
    draw_scribbles,
)
from tests.data.scenes import disk

SIZE = (90, 120)


def _two_parts():
    region = disk(SIZE, (40, 30), 20)
    region[55:85, 70:110] = True
    return region


def test_every_part_is_scribbled_on_and_hardly_anything_else():
    region, rng = _two_parts(), np.random.default_rng(0)
    parts, count = ndimage.label(region)
    near = ndimage.distance_transform_edt(~region) <= 7
    covered = []
    for _ in range(40):
        found = draw_scribbles(region, rng)
        assert found.dtype == bool and found.shape == SIZE
        assert set(np.unique(parts[found])) >= set(range(1, count + 1))
        assert not (found & ~near).any()
        covered.append(found.sum() / region.sum())
    assert 0.01 < np.mean(covered) < 0.2  # lines, not areas


@pytest.mark.parametrize("kind", [_beziers, _border, _skeleton])
def test_each_kind_draws_lines_in_the_part(kind):
    part, rng = disk((60, 60), (30, 30), 22), np.random.default_rng(0)
    found = [kind(part, rng) for _ in range(10)]
    assert sum(f.any() for f in found) >= 8
    for scribble in found:
        assert (scribble & part).sum() >= 0.6 * scribble.sum()
        # A line has no pixel whose whole 5 x 5 neighbourhood is marked.
        assert not ndimage.binary_erosion(scribble, np.ones((5, 5))).any()


def test_tiny_regions_still_get_a_mark_and_empty_ones_none():
    rng, tiny = np.random.default_rng(0), np.zeros(SIZE, bool)
    tiny[5:8, 5:9] = True
    for _ in range(20):
        assert (draw_scribbles(tiny, rng) & tiny).any()
    assert not draw_scribbles(np.zeros(SIZE, bool), rng).any()


def test_small_parts_beside_large_ones_are_left_out():
    region, rng = disk(SIZE, (40, 30), 20), np.random.default_rng(0)
    region[70:73, 100:103] = True
    for _ in range(10):
        assert not draw_scribbles(region, rng)[60:, 90:].any()


def test_background_scribbles_lie_beside_the_object_where_it_is_free():
    target, rng = disk(SIZE, (45, 40), 18), np.random.default_rng(0)
    free = ~target
    free[:, 60:] = False
    distance = ndimage.distance_transform_edt(~target)
    some: list[bool] = []
    for _ in range(20):
        found = background_scribbles(target, free, rng)
        assert (distance[found] > 3).all() and (distance[found] < 3 + 17).all()
        assert not (found & ~free).any()
        some.append(bool(found.any()))
    assert all(some)
    assert not background_scribbles(target, np.zeros(SIZE, bool), rng).any()


def test_scribbles_are_dilated_twice_by_a_cross():
    one = np.zeros((9, 9), bool)
    one[4, 4] = True
    rows, columns = np.mgrid[:9, :9]
    diamond = np.abs(rows - 4) + np.abs(columns - 4) <= 2
    np.testing.assert_array_equal(dilated(one), diamond)


# --- on the device --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    """Scribbles of eight keys for five predictions, and the errors that they are to mark."""
    truth = np.zeros((5, *SIZE), np.int32)
    truth[:, 20:60, 20:60] = 1
    truth[3, :, 80:] = -1
    probability = np.where(truth == 1, 0.9, 0.1).astype(np.float32)
    probability[0] = 0  # before the first answer
    probability[1, 20:60, 40:60] = 0.2
    probability[1, 65:85, 80:115] = 0.8
    probability[2, 20, 20:49] = 0.2  # 29 pixels
    probability[3, :, 80:] = 0.9  # on void
    draw = jax.jit(jax.vmap(error_scribbles, (None, None, 0)), static_argnums=())
    keys = jax.random.split(jax.random.key(0), 8)
    found = [np.asarray(draw(p, t, keys)) for p, t in zip(probability, truth, strict=True)]
    return found, (truth == 1) & (probability <= 0.5), (truth == 0) & (probability > 0.5)


def test_device_scribbles_mark_missed_and_false_pixels(drawn):
    found, missed, false = drawn
    for sample in (0, 1):
        for scribbles in found[sample]:
            assert scribbles.shape == (*SIZE, 2) and set(np.unique(scribbles)) <= {0, 1}
            for mark, error in ((scribbles[..., 0], missed), (scribbles[..., 1], false)):
                # Crosses of reach 2 about pixels of the error; both kinds where there are both.
                near = ndimage.distance_transform_cdt(~error[sample], "taxicab") <= 2
                assert mark.any() == error[sample].any() and not (mark > near).any()
                if mark.any():
                    assert (mark * error[sample]).sum() > 0.5 * mark.sum()
    assert len({s.tobytes() for s in found[0]}) == 8


@pytest.mark.parametrize(("sample", "why"), [(2, "few pixels"), (3, "void"), (4, "no error")])
def test_what_is_no_error_gets_no_device_scribble(drawn, sample, why):
    assert not np.any(drawn[0][sample]), why


def test_device_scribbles_are_lines(drawn):
    for scribbles in drawn[0][0]:
        mark = scribbles[..., 0] > 0
        assert 20 < mark.sum() < 0.6 * 40 * 40
