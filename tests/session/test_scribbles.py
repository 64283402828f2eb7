"""Scribbles in a session: whom they concern, what networks are asked, and what holds afterwards."""

from typing import Any

import numpy as np
import pytest

from ivs_jax.interaction import (
    Clear,
    Click,
    Mask,
    Propagate,
    RemoveObject,
    Scribble,
    Stroke,
    Undo,
)
from ivs_jax.io import encode_rle
from ivs_jax.session import replay, start, step
from ivs_jax.session.engine import Engine
from ivs_jax.types import Interaction
from tests.plain_engine import PlainPropagator, PlainVideo, plain_engine

RED, GREEN, BLUE = (((6, y), (7, y)) for y in (3, 11, 19))  # a stroke in each square of frame 0


class Recorder:
    """Says the same probability whatever it is asked, and remembers the questions."""

    def __init__(self, probability=0.2):
        self.probability, self.asked = probability, []

    def predict(self, image, clicks, previous, *, scribbles=None):
        real = clicks.label >= 0
        points = [(*xy, int(k)) for xy, k in zip(clicks.xy.tolist(), clicks.label, strict=True)]
        self.asked.append((points[: real.sum()], len(clicks.label), previous, scribbles))
        p = np.full(image.shape[:2], self.probability, np.float32)
        satisfied = (clicks.label[real] == 1) == (self.probability > 0.5)
        return Interaction(p, 2, 0.0, satisfied, {"encode": 1.0})


def session(*events, count=8):
    state = start(plain_engine(count))
    for event in events:
        state = step(state, event)
    return state


def recorded(*events, probability=0.2):
    """The state and the questions on the way to it."""
    interactor = Recorder(probability)
    state = start(Engine(PlainVideo(), interactor, PlainPropagator(), "recorder"))
    for event in events:
        state = step(state, event)
    return state, interactor.asked


def scribble(frame, *strokes):
    return Scribble(frame, tuple(Stroke(number, path) for number, path in strokes))


def mask(frame, number, where):
    image = np.zeros((24, 40), bool)
    image[where] = True
    return Mask(frame, number, encode_rle(image))


def truth(state, frame, *objects):
    labels = state.engine.video.truth(frame)
    return np.where(np.isin(labels, objects), labels, 0)


def test_strokes_add_objects_and_their_masks():
    state = session(scribble(0, (1, RED), (2, GREEN)))
    np.testing.assert_array_equal(state.labels(0), truth(state, 0, 1, 2))
    assert state.objects == (1, 2) and state.annotated == (0,) and state.scene.rounds == (0,)
    assert state.provenance(0) == {1: "user", 2: "user"}
    assert state.strokes_satisfied() == (4, 4) and state.clicks_satisfied() == (0, 0)
    assert state.statistics.evaluations == 6


def test_what_the_network_is_asked():
    drawn = scribble(0, (1, RED), (0, ((0, 3), (3, 3))), (0, ((39, 0), (39, 23))), (2, GREEN))
    _, asked = recorded(Click(0, 1, 9, 6), drawn)
    assert len(asked) == 3  # the click; then each object once
    points, capacity, previous, lines = asked[1]
    assert capacity == 32 and previous is not None
    # Its click, a point of its stroke, of others only what is near.
    own, other = ([p[:2] for p in points if p[2] == k] for k in (1, 0))
    assert own == [(9, 6), (7, 3)]
    assert set(other) == {(1, 3), (3, 3), (7, 11)}
    # The map has all strokes.
    want = np.full((24, 40), -1)
    want[3, 6:8], want[3, :4], want[:, 39], want[11, 6:8] = 1, 0, 0, 0
    np.testing.assert_array_equal(lines, want)
    assert lines.dtype == np.int8
    second = asked[2][3] == 1
    assert second.sum() == 2 and second[11, 6:8].all() and asked[2][3][3, 6] == 0
    assert asked[2][2] is None  # object 2 is new


def test_clicks_alone_come_without_a_map():
    _, asked = recorded(Click(0, 1, 9, 6))
    assert asked[0][3] is None


def test_earlier_strokes_of_the_frame_are_told_again_others_not():
    first, second = scribble(0, (1, RED)), scribble(0, (1, ((5, 5), (8, 5))))
    _, asked = recorded(first, scribble(1, (1, ((20, 20),))), second)
    assert [len(points) for points, *_ in asked] == [1, 1, 3]
    assert (asked[2][3] == 1).sum() == 6


def test_objects_that_foreign_strokes_hit_are_asked_too():
    around = (1, ((5, 2), (8, 2))), (2, GREEN), (3, BLUE)
    state = session(scribble(0, *around))
    calls = state.engine.interactor.calls
    assert len(calls) == 3
    state = step(state, scribble(0, (3, ((4, 10), (9, 10)))))  # 3 says: this part of 2 is mine
    assert len(calls) == 5 and 1 not in list(state.scene.frames[0].marks)[1:]
    assert (state.labels(0)[10, 4:10] == 3).all()
    state = step(state, scribble(0, (0, ((4, 5), (9, 5)))))  # background on 1
    assert len(calls) == 6 and not state.labels(0)[5, 4:10].any()
    assert list(state.scene.frames[0].marks)[-1] == 1
    before = len(calls)
    state = step(state, scribble(0, (0, ((30, 5), (35, 5)))))  # where nothing is
    assert len(calls) == before and len(state.scene.frames[0].hints) == 4


def test_a_background_stroke_corrects_what_propagation_said():
    state = session(scribble(0, (1, RED), (2, GREEN)), Propagate())
    state = step(state, scribble(3, (0, ((8, 3), (11, 3)))))
    assert state.provenance(3) == {1: "corrected", 2: "propagated"}
    assert not state.labels(3)[3, 8:12].any() and (state.labels(3) == 2).sum() == 36
    assert state.scene.rounds == (0, 3)
    kept = state.labels(3)
    for event in (Propagate(), Propagate(7, "backward"), Propagate(0, span="round")):
        state = step(state, event)
        np.testing.assert_array_equal(state.labels(3), kept)


def test_nothing_propagated_later_crosses_a_background_stroke():
    wall = (0, ((0, 11), (39, 11)))  # through where object 2 will come
    state = session(scribble(4, (1, ((9, 3), (12, 3))), wall), scribble(0, (2, GREEN)))
    state = step(state, Propagate(0))
    assert not state.labels(4)[9:14].any() and (state.labels(3) == 2).sum() == 36
    assert (state.labels(4) == 2).sum() == 6  # what of the square is away from the wall
    assert state.strokes_satisfied() == (4 + 40 + 2, 46)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_strokes_hold_whatever_the_network_says(probability):
    loop = ((2, 2), (30, 4), (25, 20), (3, 18), (2, 2))
    state, _ = recorded(
        scribble(0, (1, loop)),
        scribble(0, (0, ((0, 0), (39, 23))), (2, ((39, 0), (0, 23)))),
        Click(0, 3, 20, 12),
        Click(0, 1, 2, 2, 0),
        probability=probability,
    )
    agree, count = state.strokes_satisfied()
    assert agree == count > 100
    assert state.labels(0)[12, 20] == 3 and state.labels(0)[2, 2] != 1


def test_masks_clears_and_removals_take_the_strokes_of_their_object():
    drawn = scribble(0, (1, RED), (0, ((0, 0), (3, 0))), (2, GREEN))
    others = (scribble(0, (0, ((0, 0), (3, 0))), (2, GREEN)),)
    for event in (mask(0, 1, np.s_[20:22, 0:5]), Clear(0, 1), RemoveObject(1)):
        state = session(drawn, event)
        assert state.scene.frames[0].hints == others
        assert (state.labels(0) == 2).sum() == 36 and state.labels(0)[3, 6] == 0
        back = step(state, Undo())
        assert back.scene == session(drawn).scene
    gone = session(drawn, Clear(0, 1), Clear(0, 2))
    assert not gone.scene.frames and not gone.scene.rounds  # background strokes go with the last


def test_clear_brings_back_what_propagation_said():
    state = session(scribble(0, (1, RED)), Propagate())
    changed = step(state, scribble(2, (0, ((6, 3), (11, 3)))))
    assert not changed.labels(2)[3].any()
    back = step(changed, Clear(2, 1))
    assert back.scene == state.scene


def test_rounds_are_the_frames_in_the_order_of_their_last_mark():
    state = session(scribble(0, (1, RED)), Propagate(), scribble(5, (1, ((11, 3),))))
    state = step(step(state, Click(3, 1, 9, 3)), scribble(0, (1, ((5, 5),))))
    assert state.scene.rounds == (5, 3, 0)
    assert step(state, Clear(3, 1)).scene.rounds == (5, 0)
    assert step(state, RemoveObject(1)).scene.rounds == ()
    assert step(state, Propagate()).scene.rounds == (5, 3, 0)


def test_replay_gives_the_same_state():
    events = (scribble(0, (1, RED), (0, ((0, 23), (39, 23)))), Propagate(), scribble(2, (2, GREEN)))
    state = session(*events)
    assert replay(state.events, plain_engine()) == state


@pytest.mark.parametrize(
    "event, words",
    [
        (scribble(8, (1, RED)), r"frame 8 .*0\.\.7"),
        (scribble(0, (255, RED)), r"1\.\.254, got 255"),
        (scribble(0, (-1, RED)), "got -1"),
        (scribble(0, (1, ((5, 3), (40, 3)))), "stroke point at x 40, y 3 is outside the frame"),
        (scribble(0, (1, RED), (0, ((5, -1),))), "stroke point at x 5, y -1"),
        (scribble(0, (0, RED)), "scribble on frame 0 has background strokes alone"),
    ],
)
def test_refusals_name_the_trouble(event, words):
    with pytest.raises(ValueError, match=words):
        session(event)


def test_a_scribble_that_is_refused_leaves_nothing():
    state: Any = session(scribble(0, (1, RED)))
    before = state.scene
    with pytest.raises(ValueError):
        step(state, scribble(0, (2, GREEN), (3, ((99, 0),))))
    assert state.scene is before and len(state.engine.interactor.calls) == 1
