"""The robot against a plain reference: distances by looking at every pair of pixels."""

import numpy as np
import pytest

from ivs_jax.interaction.robot import next_click


def plain_depth(error: np.ndarray) -> np.ndarray:
    padded = np.pad(error, 1)
    zeros, depth = np.argwhere(~padded), np.zeros(padded.shape)
    for y, x in np.argwhere(padded):
        depth[y, x] = np.sqrt(((zeros - (y, x)) ** 2).sum(1).min())
    return depth[1:-1, 1:-1]


def plain_click(truth, prediction, ignore, clicked):
    missed = plain_depth(truth & ~prediction & ~ignore)
    false = plain_depth(~truth & prediction & ~ignore)
    for x, y in clicked:
        missed[y, x] = false[y, x] = 0
    if missed.max() == 0 and false.max() == 0:
        return None
    positive = missed.max() > false.max()
    depth = missed if positive else false
    best = (0, 0)
    for y in range(depth.shape[0]):  # row-major: the first maximum wins
        for x in range(depth.shape[1]):
            if depth[y, x] > depth[best[1], best[0]]:
                best = (x, y)
    return (*best, int(positive))


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_plain_rule_on_random_masks(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14, 2))
    coarse = rng.random((3, *shape)) < rng.choice([0.3, 0.7, 0.95], (3, 1, 1))
    truth, prediction, ignore = coarse[0], coarse[1], coarse[2] & (rng.random(shape) < 0.2)
    clicked = [(int(rng.integers(shape[1])), int(rng.integers(shape[0]))) for _ in range(3)]
    found = next_click(truth, prediction, ignore=ignore, clicked=clicked)
    assert found == plain_click(truth, prediction, ignore, clicked)


def test_first_click_is_the_inner_most_point_and_ties_take_the_first_row():
    truth = np.zeros((9, 12), bool)
    truth[2:7, 3:8] = True
    assert next_click(truth, np.zeros_like(truth)) == (5, 4, 1)
    truth[:], truth[4, 2:9] = False, True  # a line: all pixels have depth 1
    assert next_click(truth, np.zeros_like(truth)) == (2, 4, 1)


def test_equal_depths_give_a_negative_click():
    truth, prediction = np.zeros((2, 7, 14), bool)
    truth[2:5, 1:4] = True
    prediction[2:5, 9:12] = True
    assert next_click(truth, prediction) == (10, 3, 0)
    truth[1:6, 1:6] = True
    assert next_click(truth, prediction) == (3, 3, 1)


def test_the_frame_border_counts_as_right():
    truth = np.ones((5, 7), bool)
    assert next_click(truth, ~truth) == (2, 2, 1)


def test_clicked_pixels_are_not_clicked_again_and_nothing_left_is_none():
    truth = np.zeros((4, 4), bool)
    truth[1, 1] = truth[2, 2] = True
    empty = np.zeros_like(truth)
    assert next_click(truth, empty) == (1, 1, 1)
    assert next_click(truth, empty, clicked=[(1, 1, 1)]) == (2, 2, 1)
    assert next_click(truth, empty, clicked=[(1, 1, 1), (2.0, 2.0, 1), (99, 0, 0)]) is None
    assert next_click(truth, truth) is None
    assert next_click(truth, empty, ignore=truth) is None


def test_wrong_arrays_are_named():
    mask = np.zeros((4, 5), bool)
    with pytest.raises(ValueError, match=r"prediction is \(5, 4\)"):
        next_click(mask, mask.T)
    with pytest.raises(ValueError, match="truth must be .* uint8"):
        next_click(mask.astype(np.uint8), mask)
    with pytest.raises(ValueError, match="ignore"):
        next_click(mask, mask, ignore=mask[:2])
