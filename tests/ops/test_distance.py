import math

import numpy as np
import pytest

from ivs_jax.ops.distance import (
    FAR,
    click_distances,
    disks,
    distance_transform,
    tanh_maps,
    truncated_maps,
)
from ivs_jax.types import Clicks, make_clicks

SIZE = (13, 17)
POINTS = [(3.0, 4.0), (3.5, 4.25), (16.0, 12.0), (0.0, 0.0), (9.0, 30.0)]
LABELS = [1, 0, 1, 0, 1]


def _plain_distances(points=POINTS, labels=LABELS):
    out = np.full((*SIZE, 2), FAR)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            for (x, y), label in zip(points, labels, strict=True):
                channel = 0 if label == 1 else 1
                d = math.hypot(row - y, column - x)
                out[row, column, channel] = min(out[row, column, channel], d)
    return out


MAPS = {
    "distances": (click_distances, lambda d: d),
    "disks": (lambda c, s: disks(c, s, radius=5.0), lambda d: (d <= 5).astype(float)),
    "brs": (truncated_maps, lambda d: 1 - np.minimum(d, 255) / 255),
    "fbrs": (tanh_maps, lambda d: np.tanh(2 * d / 260)),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_equal_brute_force(name):
    function, formula = MAPS[name]
    found = function(make_clicks(POINTS, LABELS), SIZE)
    np.testing.assert_allclose(found, formula(_plain_distances()), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("name", MAPS)
def test_padding_and_the_order_of_clicks_change_nothing(name):
    function, _ = MAPS[name]
    expected = function(make_clicks(POINTS, LABELS, capacity=5), SIZE)
    clicks = make_clicks(POINTS, LABELS, capacity=32)
    order = np.random.default_rng(0).permutation(32)
    shuffled = Clicks(clicks.xy[order], clicks.label[order])
    np.testing.assert_array_equal(function(shuffled, SIZE), expected)


def test_without_clicks_everything_is_far():
    none = make_clicks([], [])
    assert (np.asarray(click_distances(none, SIZE)) == FAR).all()
    assert not np.asarray(disks(none, SIZE, radius=5.0)).any()
    assert not np.asarray(truncated_maps(none, SIZE)).any()
    assert (np.asarray(tanh_maps(none, SIZE)) == 1).all()


def _plain_transform(mask):
    height, width = mask.shape
    zeros = [
        (r, c)
        for r in range(-1, height + 1)
        for c in range(-1, width + 1)
        if not (0 <= r < height and 0 <= c < width) or not mask[r, c]
    ]
    out = np.zeros(mask.shape)
    for r, c in np.argwhere(mask):
        out[r, c] = min(math.hypot(r - i, c - j) for i, j in zeros)
    return out


@pytest.mark.parametrize("share", [0.0, 0.6, 0.95, 1.0])
def test_distance_transform_equals_brute_force(share):
    mask = np.random.default_rng(1).random((9, 12)) < share
    np.testing.assert_allclose(distance_transform(mask), _plain_transform(mask))
