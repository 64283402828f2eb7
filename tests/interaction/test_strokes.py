"""Strokes as pixels, against plain loops."""

import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.interaction import Stroke
from ivs_jax.interaction.strokes import (
    drawn_pixels,
    near,
    pixels,
    rasterise,
    scribble_clicks,
    signed,
    stroke_maps,
)

SIZE = (20, 30)


def plain_line(start, end):
    """Bresenham's line as in the textbooks: an error term and one pixel after the other."""
    (x, y), (x1, y1) = start, end
    dx, dy = abs(x1 - x), abs(y1 - y)
    sx, sy = np.sign(x1 - x), np.sign(y1 - y)
    steep = dy > dx
    if steep:
        dx, dy = dy, dx
    found, error = [(x, y)], 0
    for _ in range(dx):
        x, y = (x, y + sy) if steep else (x + sx, y)
        error += 2 * dy
        if error >= dx:  # halfway or more: one aside
            x, y = (x + sx, y) if steep else (x, y + sy)
            error -= 2 * dx
        found.append((int(x), int(y)))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_lines_equal_the_textbook(seed):
    rng = np.random.default_rng(seed)
    path = [(int(x), int(y)) for x, y in rng.integers(0, (30, 20), (2 + seed % 5, 2))]
    want = [path[0]]
    for start, end in zip(path, path[1:], strict=False):
        line = plain_line(start, end)
        assert line[-1] == end
        want += line[1:]
    assert [tuple(p) for p in drawn_pixels(path, SIZE).tolist()] == want


def test_pixels_round_to_the_nearest_and_stay_inside():
    found = pixels([(2.4, 3.5), (-0.5, -0.5), (29.5, 19.5)], SIZE)
    assert found.tolist() == [[2, 4], [0, 0], [29, 19]]


def test_a_point_and_a_standing_pen_are_one_pixel():
    for path in (((4, 5),), ((4, 5), (4, 5), (4.2, 5.2))):
        assert drawn_pixels(path, SIZE).tolist() == [[4, 5]]


def test_later_strokes_lie_over_earlier_ones():
    across, down = Stroke(1, ((0, 5), (29, 5))), Stroke(0, ((7, 0), (7, 19)))
    labels = rasterise([across, down], SIZE)
    assert labels.dtype == np.uint8 and labels.shape == SIZE
    assert labels[5, 7] == 0 and (labels[5, :7] == 1).all() and (labels[:, 7] == 0).all()
    assert (labels == 255).sum() == 20 * 30 - 30 - 20 + 1
    assert rasterise([down, across], SIZE)[5, 7] == 1
    assert (rasterise([], SIZE) == 255).all()


def test_signed_maps_of_each_object():
    labels = np.array([[255, 0, 1, 2]], np.uint8)
    assert signed(labels, 1).tolist() == [[-1, 0, 1, 0]]
    assert signed(labels, 9).tolist() == [[-1, 0, 0, 0]]
    assert signed(labels, 2).dtype == np.int8


@pytest.mark.parametrize("length, count", [(1, 1), (2, 1), (4, 2), (8, 4), (30, 4)])
def test_clicks_spread_over_the_stroke(length, count):
    found = scribble_clicks(drawn_pixels([(0, 3), (length - 1, 3)], SIZE), SIZE)
    assert found.shape == (count, 2) and found.dtype == np.float32
    assert (found[:, 1] == 3).all() and found[0, 0] >= 0 and found[-1, 0] <= length - 1
    gaps = np.diff(found[:, 0])
    assert (np.abs(gaps - length / count) <= 1).all()
    ends = np.array([found[0, 0], length - 1 - found[-1, 0]])
    assert (np.abs(ends - length / count / 2) <= 1).all()


def test_clicks_of_a_part_of_the_stroke():
    where = np.zeros(SIZE, bool)
    where[:, 20:] = True
    found = scribble_clicks(drawn_pixels([(0, 3), (29, 3)], SIZE), SIZE, where=where)
    assert len(found) == 4 and (found[:, 0] >= 20).all()
    assert scribble_clicks(drawn_pixels([(0, 3), (19, 3)], SIZE), SIZE, where=where).shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_maps_are_dilated_twice_by_a_cross_and_the_object_wins(seed):
    rng = np.random.default_rng(seed)
    drawn = np.full(SIZE, -1, np.int8)
    places = rng.integers(0, SIZE, (12, 2))
    drawn[places[:, 0], places[:, 1]] = np.arange(12) % 2
    own, other = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            away = np.abs(np.mgrid[: SIZE[0], : SIZE[1]] - np.array([y, x])[:, None, None]).sum(0)
            own[y, x] = (drawn[away <= 2] == 1).any()
            other[y, x] = (drawn[away <= 2] == 0).any()
    found = stroke_maps(drawn)
    assert found.dtype == np.float32 and (own & other).any()
    np.testing.assert_array_equal(found, np.stack([own, other & ~own], -1))


def test_what_is_near_grows_with_the_object():
    for side, reach in ((4, 8), (64, 15.75)):
        own = np.zeros((200, 200), bool)
        own[90 : 90 + side, 90 : 90 + side // 2] = True
        away = ndimage.distance_transform_edt(~own)
        np.testing.assert_array_equal(near(own), away <= reach)
    assert not near(np.zeros(SIZE, bool)).any()
