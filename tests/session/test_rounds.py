"""Rounds of scribbles: the example of the IPN page, and a plain loop over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivs_jax.session.rounds import merge_round, plan_round


def plain_plan(target, annotated, count):
    """The rounds of experiments/papers/ipn.md, section 7, one frame at a time."""
    right, left = count - 1, 0
    weights = [1.0] * count
    later = sorted(frame for frame in annotated if frame > target)
    earlier = sorted(frame for frame in annotated if frame < target)
    if later:
        right = later[0]
        for frame in range(target + 1, count):
            weights[frame] = max(0.0, 1 - (frame - target) / (right - target))
    if earlier:
        left = earlier[-1]
        for frame in range(target):
            weights[frame] = max(0.0, 1 - (target - frame) / (target - left))
    return left, right, weights


def test_the_example_of_the_spec():
    found = plan_round(10, [20], 30)
    assert (found.left, found.right) == (0, 20)
    np.testing.assert_array_equal(found.weights[:11], 1)
    np.testing.assert_allclose(found.weights[11:20], np.arange(9, 0, -1) / 10, atol=1e-7)
    np.testing.assert_array_equal(found.weights[20:], 0)


def test_the_first_round_counts_everywhere():
    found = plan_round(3, [], 8)
    assert (found.left, found.right) == (0, 7) and found.weights.dtype == np.float32
    np.testing.assert_array_equal(found.weights, 1)


@given(st.data())
def test_any_round_equals_the_plain_loop(data):
    count = data.draw(st.integers(1, 12))
    frame = st.integers(0, count - 1)
    target, annotated = data.draw(frame), data.draw(st.lists(frame, max_size=4))
    found = plan_round(target, annotated, count)
    left, right, weights = plain_plan(target, annotated, count)
    assert (found.left, found.right) == (left, right)
    np.testing.assert_allclose(found.weights, weights, atol=1e-6)
    # A frame that is not carried anew keeps what it had; an annotated one too.
    outside = np.ones(count, bool)
    outside[left : right + 1] = False
    assert not found.weights[outside].any()
    assert not found.weights[[f for f in annotated if f != target]].any()
    assert found.weights[target] == 1


def test_merge_weighs_what_both_rounds_said():
    rng = np.random.default_rng(0)
    a, b, c, d = rng.random((4, 3, 5)).astype(np.float32)
    found = merge_round({7: a, 2: b}, {7: c, 4: d}, {7: 0.25, 2: 0.0})
    assert list(found) == [2, 4, 7]
    np.testing.assert_array_equal(found[2], b)  # nothing was there before: it counts in full
    np.testing.assert_array_equal(found[4], d)  # not of the round
    np.testing.assert_allclose(found[7], 0.25 * a + 0.75 * c, rtol=1e-6)
    for weight, expected in ((0.0, c), (1.0, a)):
        np.testing.assert_array_equal(merge_round({7: a}, {7: c}, {7: weight})[7], expected)


def test_frames_outside_the_video_are_errors():
    with pytest.raises(ValueError, match=r"target must be in 0..4, found 5"):
        plan_round(5, [], 5)
    with pytest.raises(ValueError, match=r"annotated must be in 0..4, found -1"):
        plan_round(0, [2, -1], 5)
