"""The robot on the device against the one on the host."""

import jax
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from ivs_jax.evaluation.region import iou
from ivs_jax.interaction import robot
from ivs_jax.interaction.device_robot import next_click, overlap
from ivs_jax.types import make_clicks

BUCKET = (48, 56)
click = jax.jit(next_click)
count = jax.jit(overlap)


def padded(mask):
    return np.pad(mask, [(0, b - s) for b, s in zip(BUCKET, mask.shape, strict=True)])


def both(truth, prediction, ignore, clicked):
    """The clicks of host and device; the device sees the frame in its bucket, with noise around."""
    clicks = make_clicks([c[:2] for c in clicked], [c[2] for c in clicked], capacity=8)
    inside = padded(np.ones_like(truth))
    noisy = np.where(inside, padded(prediction), np.arange(BUCKET[1]) % 3 > 0)
    found = click(padded(truth), noisy, inside & ~padded(ignore), clicks)
    expected = robot.next_click(truth, prediction, ignore=ignore, clicked=clicked)
    device = (*found.xy.tolist(), int(found.label)) if found.found else None
    shared, either = count(noisy, padded(truth), inside & ~padded(ignore))
    if either:
        assert int(shared) / int(either) == iou(prediction, truth, ignore=ignore)
    return device, expected


@pytest.mark.parametrize("seed", range(60))
def test_clicks_where_the_host_clicks(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, [b + 1 for b in BUCKET]))
    coarse = [uniform_filter(rng.random(shape), 1 + 2 * (seed % 4)) for _ in range(3)]
    level = 0.5 + 0.1 * (rng.random() - 0.5) / (1 + seed % 4)
    truth, prediction, ignore = coarse[0] > level, coarse[1] > level, coarse[2] > 0.6
    clicked: list[tuple[int, int, int]] = []
    for _ in range(6):
        device, expected = both(truth, prediction, ignore, clicked)
        assert device == expected
        if device is None:
            break
        clicked.append(device)


def test_ties_are_negative_and_first_in_raster_order():
    truth, prediction = np.zeros((2, 9, 14), bool)
    truth[2:5, 1:4] = truth[5:8, 1:4] = True
    prediction[2:5, 9:12] = prediction[5:8, 6:9] = True
    device, expected = both(truth, prediction, np.zeros_like(truth), [])
    assert device == expected == (10, 3, 0)


def test_nothing_wrong_or_nothing_left_is_not_found():
    truth = np.zeros((4, 4), bool)
    truth[1, 1] = True
    none = np.zeros_like(truth)
    assert both(truth, truth, none, []) == (None, None)
    assert both(truth, none, truth, []) == (None, None)
    assert both(truth, none, none, [(1, 1, 1)]) == (None, None)
