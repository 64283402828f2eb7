import jax
import numpy as np
import pytest

from ivs_jax.interaction.zoom import (
    into_window,
    touches_border,
    whole_window,
    widened,
    zoom_window,
)
from ivs_jax.types import make_clicks

SIZE = (300, 400)


def _mask(rows, columns, size=SIZE):
    mask = np.zeros(size, np.float32)
    mask[slice(*rows), slice(*columns)] = 0.9
    return mask


def test_the_whole_window_is_a_centred_square():
    assert whole_window((300, 400)).tolist() == [0, -50, 400, 350]
    assert whole_window((400, 300)).tolist() == [-50, 0, 350, 400]


@pytest.mark.parametrize("previous", [None, np.zeros(SIZE, np.float32), np.full(SIZE, 0.4)])
def test_without_a_previous_mask_the_window_is_the_whole_image(previous):
    found = zoom_window(SIZE, make_clicks([(5.0, 5.0)], [1]), previous)
    np.testing.assert_array_equal(found, whole_window(SIZE))


def test_the_window_is_the_enlarged_box_of_mask_and_positive_clicks():
    clicks = make_clicks([(180.0, 150.0), (10.0, 10.0)], [1, 0])  # the negative does not count
    found = zoom_window(SIZE, clicks, _mask((100, 200), (150, 250)))
    np.testing.assert_allclose(found, [130, 80, 270, 220])
    wider = zoom_window(
        SIZE, make_clicks([(299.5, 150.0)], [1]), _mask((100, 200), (150, 250)), expansion=1.0
    )
    np.testing.assert_allclose(wider, [150, 75, 300, 225])


def test_small_objects_get_the_smallest_window():
    found = zoom_window(SIZE, make_clicks([], []), _mask((100, 104), (200, 206)), smallest=80)
    np.testing.assert_allclose(found, [163, 62, 243, 142])


def test_a_window_at_the_border_moves_inside():
    found = zoom_window(SIZE, make_clicks([], []), _mask((0, 100), (300, 400)))
    np.testing.assert_allclose(found, [260, 0, 400, 140])


def test_windows_are_squares_within_the_whole_that_hold_mask_and_positives():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = int(rng.integers(20, 500)), int(rng.integers(20, 500))
        top, left = (int(rng.integers(0, s)) for s in size)
        bottom, right = (
            int(rng.integers(a + 1, s + 1)) for a, s in zip((top, left), size, strict=True)
        )
        points = rng.uniform(0, 1, (4, 2)) * (np.array(size[::-1]) - 1)
        labels = rng.integers(0, 2, 4)
        x0, y0, x1, y1 = zoom_window(
            size, make_clicks(points, labels), _mask((top, bottom), (left, right), size)
        )
        whole = whole_window(size)
        np.testing.assert_allclose(x1 - x0, y1 - y0, rtol=1e-5)
        eps = 1e-3
        assert (np.array([x0, y0]) >= whole[:2] - eps).all()
        assert (np.array([x1, y1]) <= whole[2:] + eps).all()
        assert x0 <= left + eps and y0 <= top + eps
        assert x1 >= right - eps and y1 >= bottom - eps
        for x, y in points[labels == 1] + 0.5:
            assert x0 - eps <= x <= x1 + eps and y0 - eps <= y <= y1 + eps


def test_a_mask_touches_only_borders_inside_the_image():
    mask = np.zeros((8, 8), bool)
    mask[3, 0] = True  # the left border of the window
    inside, at_edge = np.array([10.0, 0, 40, 30]), np.array([0.0, 0, 30, 30])
    assert touches_border(mask, inside, (50, 60))
    assert not touches_border(mask, at_edge, (50, 60))
    assert not touches_border(np.zeros((8, 8), bool), inside, (50, 60))
    mask[:] = False
    mask[-1, 4] = True
    assert touches_border(mask, inside, (50, 60)) and not touches_border(mask, inside, (30, 60))


def test_widening_ends_at_the_whole_image():
    size, box = (50, 60), np.array([5.0, 5, 25, 25])
    sides = []
    for _ in range(4):
        box = widened(box, size)
        sides.append(float(box[2] - box[0]))
        assert box[2] - box[0] == box[3] - box[1]
    assert sides == [30, 45, 60, 60]
    np.testing.assert_array_equal(box, whole_window(size))


def test_the_device_gets_the_windows_of_the_host_to_the_last_bit():
    bucket = (256, 384)

    @jax.jit
    def device(size, clicks, previous, answer):
        box = zoom_window(size, clicks, previous)
        seen = into_window(clicks, box, 400)
        return box, widened(box, size), touches_border(answer, box, size), seen

    rng = np.random.default_rng(0)
    for number in range(300):
        size = tuple(rng.integers(5, [s + 1 for s in bucket]).tolist())
        top, left = (rng.integers(0, s) for s in size)
        bottom, right = (
            rng.integers(a, s + 1) for a, s in zip((top, left), size, strict=True)
        )  # an empty mask now and then
        previous = _mask((top, bottom), (left, right), bucket) * (number % 10 > 0)
        points = rng.integers(0, size[::-1], (4, 2))
        clicks = make_clicks(points, rng.integers(0, 2, 4))
        answer = np.zeros((8, 8), bool)
        answer[tuple(rng.integers(0, 8, 2))] = True
        box = zoom_window(size, clicks, previous[: size[0], : size[1]])
        assert box.dtype == np.float32
        seen = into_window(clicks, box, 400)
        expected = (box, widened(box, size), touches_border(answer, box, size), seen)
        found = device(np.array(size), clicks, previous, answer)
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_clicks_in_a_window_are_in_its_pixels_and_those_outside_are_dropped():
    box = np.array([10, 20, 60, 70], np.float32)
    clicks = make_clicks([(10, 20), (34.5, 69), (9, 30), (30, 71)], [1, 0, 1, 0], capacity=5)
    found = into_window(clicks, box, 100)
    assert found.label.tolist() == [1, 0, -1, -1, -1]
    np.testing.assert_allclose(found.xy[:2], [(0.5, 0.5), (49.5, 98.5)])
    assert (found.xy[2:] == 0).all()
