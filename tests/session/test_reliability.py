"""How far a propagated frame can be relied on, and which frames a session suggests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivs_jax.interaction import Click, Propagate
from ivs_jax.session import FrameMasks, Scene, start, step
from ivs_jax.session.reliability import expected_overlap, reliability
from ivs_jax.session.state import Mark
from ivs_jax.session.suggest import frame_reliability, suggest
from tests.plain_engine import plain_engine


def test_expected_overlap_on_four_pixels():
    probability = np.array([[0.9, 0.7], [0.2, 0.0]], np.float32)
    mask = np.array([[True, True], [False, False]])
    assert expected_overlap(probability, mask) == pytest.approx(1.6 / 2.2)
    assert expected_overlap(mask.astype(np.float32), mask) == 1
    assert expected_overlap(probability, np.zeros_like(mask)) == 0.5


def test_expected_overlap_is_near_the_mean_of_the_overlap_with_random_objects():
    """The definition, by drawing objects from the probabilities."""
    rng = np.random.default_rng(0)
    distance = np.hypot(*np.mgrid[-20:21, -20:21])
    for softness in (1.0, 3.0):
        probability = 1 / (1 + np.exp((distance - 12) / softness))
        mask = probability > 0.5
        drawn = rng.random((400, *mask.shape)) < probability
        ious = (drawn & mask).sum((1, 2)) / (drawn | mask).sum((1, 2))
        assert expected_overlap(probability, mask) == pytest.approx(ious.mean(), abs=0.01)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.booleans())
def test_reliability_is_a_share_and_falls_with_disagreement(seed, count, seen):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count + 1, (6, 7)).astype(np.uint8)
    soft = {k: rng.random((6, 7)).astype(np.float32) for k in range(1, count + 1)}
    before = rng.integers(0, count + 1, (6, 7)).astype(np.uint8) if seen else None
    value = reliability(soft, labels, before, tuple(soft))
    assert 0 <= value <= reliability(soft, labels) <= 1
    assert reliability(soft, labels, labels, tuple(soft)) == reliability(soft, labels)


def test_reliability_is_the_mean_over_objects_and_compares_only_what_was_there():
    labels = np.array([[1, 1, 2, 2]], np.uint8)
    soft = {1: np.array([[1, 1, 0, 0]], np.float32), 2: np.array([[0, 0, 0.5, 0.5]], np.float32)}
    assert reliability(soft, labels) == pytest.approx((1 + 0.5) / 2)
    before = np.array([[1, 0, 0, 0]], np.uint8)
    assert reliability(soft, labels, before, (1,)) == pytest.approx((0.5 + 0.5) / 2)
    assert reliability(soft, labels, before, (1, 2)) == pytest.approx((0.5 + 0) / 2)
    assert reliability({}, labels) == 1


def scene(values, marked=(), count=60):
    """A session whose propagated frames have the reliabilities `values`."""
    frames = {
        f: FrameMasks(b"", {1: Mark(b"", "user")} if f in marked else {}, (), b"", (1,), {}, value)
        for f, value in values.items()
    }
    state = start(plain_engine(count))
    return type(state)(state.engine, Scene({1: ""}, frames))


def test_the_least_reliable_frames_come_first_and_lie_apart():
    values = {f: 0.9 for f in range(60)} | {30: 0.1, 31: 0.2, 36: 0.3, 10: 0.4, 14: 0.35, 2: 0.05}
    state = scene(values, marked=[0])
    # 31 is beside 30, 10 beside 14, 2 beside 0; 8 is the first that is far from what is marked.
    assert suggest(state, 4) == [30, 36, 14, 8]
    assert suggest(state, 1) == [30]
    found = suggest(state, 99)
    assert all(abs(f - g) >= 5 for f in [0, *found] for g in [0, *found] if f != g)
    assert len(found) >= 60 // 5 - 3


def test_doubt_near_a_marked_frame_counts_less():
    values = {f: 0.9 for f in range(80)} | {25: 0.1, 60: 0.4}
    assert suggest(scene(values, marked=[40], count=80), 2) == [25, 60]
    assert suggest(scene(values, marked=[20], count=80), 2) == [60, 25]


def test_marked_frames_are_certain_and_never_suggested():
    state = scene({f: 0.5 for f in range(8)}, marked=[3, 4], count=8)
    assert frame_reliability(state) == {f: 1.0 if f in (3, 4) else 0.5 for f in range(8)}
    assert suggest(state, 9) == [0, 1, 2, 5, 6, 7]  # a short video has no room for distances
    assert suggest(scene({}), 3) == []
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        suggest(state, 0)


def test_propagation_leaves_its_reliability():
    state = step(step(start(plain_engine()), Click(0, 1, 6, 3)), Propagate(limit=5))
    first = frame_reliability(state)
    assert sorted(first) == [0, 1, 2, 3, 4, 5] and first[0] == 1
    assert all(0.5 < first[f] < 1 for f in (1, 2, 3, 4, 5))
    again = frame_reliability(step(state, Propagate(limit=5)))
    assert again == first  # the same answer twice: no disagreement
    odd = step(step(state, Click(5, 1, 30, 22)), Propagate(5, "backward", span="round"))
    changed = frame_reliability(odd)
    assert changed[5] == 1 and set(suggest(odd, 4)) <= {1, 2, 3, 4}
    assert any(changed[f] != first[f] for f in (1, 2, 3, 4))
