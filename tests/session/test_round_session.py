"""Rounds in a session: which frames are computed, and what they say afterwards."""

import numpy as np
import pytest

from ivs_jax.interaction import Clear, Mask, Propagate, Redo, Scribble, Undo
from ivs_jax.interaction.events import Stroke
from ivs_jax.io import encode_rle, unpack_probability
from ivs_jax.session import Engine, start, step
from ivs_jax.session.rounds import plan_round
from ivs_jax.session.run import next_propagations
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo

SIZE, COUNT = (24, 40), 12


class Changing(PlainPropagator):
    """Says something else in every call: `answer(call, frame, object)`, the same at all pixels."""

    def answer(self, call, frame, number):
        return 0.1 + 0.04 * ((7 * call + 3 * frame + 5 * number) % 10)

    def propagate(self, video, annotations, objects, frames, *, start, previous=None):
        call = len(self.calls)
        self.calls.append((dict(annotations), objects, tuple(frames), start))
        self.previous.append(None if previous is None else dict(previous))
        for frame in frames:
            self.visited.append(frame)
            p = np.array([0, *(self.answer(call, frame, k) for k in objects)], np.float32)
            p[0] = 1 - p.sum()
            yield frame, np.broadcast_to(p, (*video.size, len(p)))


def mask(frame, *numbers):
    """One mask event for each of `numbers`: a stripe of its own."""
    events = []
    for number in numbers:
        area = np.zeros(SIZE, bool)
        area[2 * number : 2 * number + 2] = True
        events.append(Mask(frame, number, encode_rle(area)))
    return events


def session(*events, propagator=None, count=COUNT):
    video = PlainVideo(count, SIZE)
    state = start(Engine(video, PlainInteractor(), propagator or Changing(), "plain"))
    for event in events:
        state = step(state, event)
    return state


def round_at(frame, **options):
    return Propagate(frame, **{"direction": "both", "span": "round"} | options)


def soft(state):
    """(frame, object) -> the probability that the session keeps."""
    return {
        (frame, number): float(unpack_probability(packed)[0, 0])
        for frame, masks in state.scene.frames.items()
        for number, packed in masks.soft.items()
    }


def visited(state):
    return state.engine.propagator.visited


def test_a_round_computes_what_lies_between_the_annotated_frames():
    state = session(*mask(0, 1), Propagate(), *mask(8, 1), *mask(5, 1))
    assert visited(state) == list(range(1, 12))
    state = step(state, round_at(5))
    assert visited(state)[11:] == [6, 7, 4, 3, 2, 1]
    state = step(state, round_at(8))
    assert visited(state)[17:] == [9, 10, 11, 7, 6]


def test_a_round_obeys_direction_and_limit():
    state = session(*mask(0, 1), Propagate(), *mask(8, 1))
    for options, expected in (
        ({"direction": "backward"}, [7, 6, 5, 4, 3, 2, 1]),
        ({"direction": "forward"}, [9, 10, 11]),
        ({"limit": 2}, [9, 10, 7, 6]),
    ):
        done = len(visited(state))
        step(state, round_at(8, **options))
        assert visited(state)[done:] == expected


def test_the_objects_of_a_round_are_joined_each_by_its_own_distance():
    """Against a plain loop over frames and objects."""
    events = [
        *(*mask(0, 1, 2), *mask(3, 3), Propagate(direction="both")),
        *(*mask(9, 2), *mask(6, 1, 2), round_at(6)),
        *(*mask(4, 1), round_at(4)),
    ]
    state = session(*events)
    marked = {1: [0, 4, 6], 2: [0, 6, 9], 3: [3]}
    propagator = state.engine.propagator
    assert [call[2] for call in propagator.calls] == [
        tuple(range(1, 12)),
        (7, 8, 9, 10, 11),
        (5, 4, 3, 2, 1),
        (5,),
        (3, 2, 1),
    ]
    expected = {}
    for frame in range(1, 12):
        for number in (1, 2, 3):
            expected[frame, number] = propagator.answer(0, frame, number)
    for call, (target, numbers, known) in {
        1: (6, (1, 2), {1: [0], 2: [0, 9]}),
        2: (6, (1, 2), {1: [0], 2: [0, 9]}),
        3: (4, (1,), {1: [0, 6]}),
        4: (4, (1,), {1: [0, 6]}),
    }.items():
        for frame in propagator.calls[call][2]:
            for number in numbers:
                w = plan_round(target, known[number], COUNT).weights[frame]
                new = propagator.answer(call, frame, number)
                expected[frame, number] = w * new + (1 - w) * expected[frame, number]
    found = soft(state)
    for (frame, number), value in expected.items():
        if frame not in marked[number]:
            assert found[frame, number] == pytest.approx(value, abs=0.03), (frame, number)
            assert number in state.scene.frames[frame].reached
    for number, frames in marked.items():
        for frame in frames:
            assert state.provenance(frame)[number] in ("user", "corrected")
    # The most probable label of the joined ones, and not that of the last answer alone.
    for frame in (1, 2, 5, 7, 10):
        values = {k: expected[frame, k] for k in (1, 2, 3) if frame not in marked[k]}
        values[0] = 1 - sum(values.values())
        (label,) = np.unique(state.labels(frame)[20])
        assert values[int(label)] > max(values.values()) - 0.03


def test_an_object_of_the_round_without_an_earlier_answer_has_the_new_one():
    state = session(*mask(0, 1), Propagate(), *mask(6, 1, 2), round_at(6))
    propagator, found = state.engine.propagator, soft(state)
    for frame in range(1, 6):
        assert found[frame, 2] == pytest.approx(propagator.answer(2, frame, 2), abs=0.01)
        assert found[frame, 1] != pytest.approx(propagator.answer(2, frame, 1), abs=0.005)
    assert state.provenance(0) == {1: "user", 2: "propagated"}  # object 2 goes to the end


def test_other_objects_stay_as_they_were():
    before = session(*mask(0, 1), *mask(2, 2), Propagate(limit=4), *mask(6, 1))
    state = step(before, round_at(6))
    assert state.engine.propagator.calls[-1][1] == (1, 2)  # they still compete
    for frame in range(7, 12):
        assert state.provenance(frame) == {1: "propagated"}  # object 2 was never carried so far
    for frame in (1, 3, 4):
        assert soft(state)[frame, 2] == soft(before)[frame, 2]
    assert state.scene.frames[2].marks == before.scene.frames[2].marks


def test_a_video_span_replaces_what_was_there():
    state = session(*mask(0, 1), Propagate(), *mask(6, 1), Propagate(0))
    propagator = state.engine.propagator
    for frame in (1, 3, 11):
        assert soft(state)[frame, 1] == pytest.approx(propagator.answer(1, frame, 1), abs=0.01)
    assert propagator.previous == [None, None]


def test_the_propagator_is_told_the_order_of_rounds_and_what_was_said_before():
    events = (*mask(7, 1), *mask(0, 1), Propagate(0), *mask(3, 1), *mask(7, 1))
    state = session(*events, round_at(3))
    propagator = state.engine.propagator
    annotations, _, _, begin = propagator.calls[1]
    assert begin == 3 and list(annotations) == [0, 7, 3]
    previous = propagator.previous[1]
    assert sorted(previous) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    for frame in (1, 5):
        value = propagator.answer(0, frame, 1)
        np.testing.assert_allclose(previous[frame][3, 4], [1 - value, value], atol=0.01)
    np.testing.assert_array_equal(previous[3][..., 1], state.labels(3) == 1)


def test_the_propagator_is_told_what_was_drawn():
    drawn = Scribble(0, (Stroke(1, ((5, 3), (8, 3))), Stroke(0, ((20, 20), (20, 22)))))
    state = session(drawn, Propagate())
    scribbles = state.engine.propagator.calls[0][0][0].scribbles
    expected = np.full(SIZE, 255)
    expected[3, 5:9] = 1
    expected[20:23, 20] = 0
    np.testing.assert_array_equal(scribbles, expected)
    state = session(*mask(0, 1), Propagate())
    assert state.engine.propagator.calls[0][0][0].scribbles is None


def test_a_cancelled_round_replays_and_is_undone():
    base = session(*mask(0, 1), Propagate(), *mask(8, 1))
    seen = []
    after = step(
        base, round_at(8), progress=lambda *at: seen.append(at), cancel=lambda: len(seen) == 5
    )
    assert seen == [(1, 10, 9), (2, 10, 10), (3, 10, 11), (4, 10, 7), (5, 10, 6)]
    assert after.events[-1] == round_at(8, done=(3, 2))
    assert session(*after.events) == after
    assert step(after, Undo()).scene == base.scene
    assert after.scene.frames[5] == base.scene.frames[5] != step(base, round_at(8)).scene.frames[5]


def test_a_round_between_annotated_neighbours_changes_nothing():
    state = session(*mask(4, 1), *mask(5, 1), *mask(6, 1))
    assert step(state, round_at(5)) is state


def test_a_round_needs_a_marked_frame():
    state = session(*mask(2, 1), Propagate())
    with pytest.raises(ValueError, match=r"frame 5 was not, annotated frames are \[2\]"):
        step(state, round_at(5))
    with pytest.raises(ValueError, match="frame 99 is outside"):
        step(state, round_at(99))


def test_what_was_annotated_since_the_last_propagation_is_carried_on():
    state = session()
    with pytest.raises(ValueError, match="no frame is annotated"):
        step(state, *next_propagations(state))
    state = step(step(state, *mask(6, 1)), *mask(4, 1))
    assert next_propagations(state, "forward") == (Propagate(4, "forward"),)
    state = step(state, *next_propagations(state))
    assert next_propagations(state) == ()
    for event in (*mask(7, 1), *mask(2, 1), *mask(7, 1), Undo(), Redo()):
        state = step(state, event)
    want = (Propagate(2, "both", span="round"), Propagate(7, "both", span="round"))
    assert next_propagations(state) == want
    state = step(state, Clear(2, 1))
    assert next_propagations(state) == want[1:]
    for event in want[1:]:
        state = step(state, event)
    assert next_propagations(state) == ()
    assert next_propagations(step(state, Undo())) == want[1:]
