"""What holds in any session: random users who click, draw, propagate, cancel, undo and redo."""

from functools import partial

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ivs_jax.interaction import (
    AddObject,
    Clear,
    Click,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Scribble,
    Stroke,
    Undo,
)
from ivs_jax.interaction.strokes import drawn_pixels
from ivs_jax.io import encode_rle
from ivs_jax.session import replay, start, step
from tests.plain_engine import plain_engine

COUNT, SIZE = 5, (24, 40)
FRAME, NUMBER = st.integers(0, COUNT - 1), st.integers(1, 3)
POINT = st.tuples(st.integers(0, SIZE[1] - 1), st.integers(0, SIZE[0] - 1))
RLE = st.integers(0, 30).map(lambda n: encode_rle(np.arange(24 * 40).reshape(SIZE) % 31 > n))
STROKE = st.builds(Stroke, st.integers(0, 3), st.lists(POINT, min_size=1, max_size=4).map(tuple))
CLICK = st.builds(
    lambda frame, number, xy, label: Click(frame, number, xy[0], xy[1], label),
    FRAME,
    NUMBER,
    POINT,
    st.integers(0, 1),
)
SCRIBBLE = st.builds(Scribble, FRAME, st.lists(STROKE, min_size=1, max_size=3).map(tuple))
PROPAGATE = st.builds(
    Propagate,
    st.none() | FRAME,
    st.sampled_from(["forward", "backward", "both"]),
    st.none() | st.integers(1, 2),
    span=st.sampled_from(["video", "round"]),
)
EVENT = st.one_of(
    CLICK,
    SCRIBBLE,
    SCRIBBLE,
    SCRIBBLE,
    PROPAGATE,
    PROPAGATE,
    PROPAGATE,
    st.builds(Mask, FRAME, NUMBER, RLE),
    st.builds(AddObject, NUMBER, st.sampled_from(["", "cat"])),
    st.builds(RemoveObject, NUMBER),
    st.builds(Clear, FRAME, NUMBER),
    st.sampled_from([Undo(), Redo()]),
)
# Users begin with an object, and go on for a while.
SESSION = st.tuples(st.one_of(CLICK, SCRIBBLE), PROPAGATE, st.lists(EVENT, min_size=6, max_size=14))
SESSION = SESSION.map(lambda parts: [*parts[:2], *parts[2]])


def follow(events, stops=()):
    """Every state on the way; refused events change nothing. `stops` cancel propagations."""
    state = start(plain_engine(COUNT))
    for index, event in enumerate(events):
        left = iter(range(stops[index] if index < len(stops) else 99))
        try:
            after = step(state, event, cancel=partial(_exhausted, left))
        except ValueError:
            continue
        if after is not state:
            assert after.events[:-1] == state.events
            yield event, state, after
        state = after


def _exhausted(left):
    return next(left, None) is None


def said(masks):
    """Pixel (x, y) -> (object, is it here?) by the last hint there, with whether it was drawn."""
    found = {}
    for hint in masks.hints:
        if isinstance(hint, Click):
            found[int(hint.x), int(hint.y)] = hint.object, bool(hint.label), False
        else:
            for stroke in hint.strokes:
                for x, y in drawn_pixels(stroke.path, SIZE).tolist():
                    found[x, y] = stroke.object, True, True
    return found


def check_hints(state):
    """Masks agree with the hints that no later one contradicts."""
    agree = count = 0
    for frame, masks in state.scene.frames.items():
        labels, last = state.labels(frame), said(masks)
        drawn = [labels[y, x] == number for (x, y), (number, _, line) in last.items() if line]
        assert sum(drawn) >= 0.99 * len(drawn)
        agree, count = agree + sum(drawn), count + len(drawn)
        for (x, y), (number, here, line) in last.items():
            if not line:
                assert (labels[y, x] == number) == here
    assert state.strokes_satisfied() == (agree, count)


def check_records(state):
    """The parts of a state fit each other."""
    marked = [frame for frame, masks in state.scene.frames.items() if masks.marks]
    assert sorted(state.scene.rounds) == sorted(marked) == list(state.annotated)
    for frame, masks in state.scene.frames.items():
        assert masks.marks or masks.reached and not masks.hints
        ids = set(np.unique(state.labels(frame)).tolist()) - {0}
        assert ids <= set(state.provenance(frame)) <= set(state.objects)
        told = {number for number, _, _ in said(masks).values()} - {0}
        assert told <= set(masks.marks)
        assert set(masks.soft) <= set(masks.reached) | set(masks.marks)


def check_kept(before, after):
    """A propagation changes no mask that the user made."""
    for frame, masks in before.scene.frames.items():
        old, new = before.labels(frame), after.labels(frame)
        for number in masks.marks:
            np.testing.assert_array_equal(old == number, new == number)
        if masks.marks:
            assert after.scene.frames[frame].hints == masks.hints
            assert after.scene.frames[frame].marks == masks.marks
    assert after.scene.rounds == before.scene.rounds


@settings(max_examples=150, deadline=None)
@given(events=SESSION, stops=st.lists(st.integers(1, 9), max_size=16))
def test_any_session(events, stops):
    state = start(plain_engine(COUNT))
    for event, before, after in follow(events, stops):
        state = after
        check_hints(state)
        check_records(state)
        if isinstance(event, Propagate):
            check_kept(before, after)
    again = replay(state.events, plain_engine(COUNT))
    assert again == state and again.past == state.past and again.future == state.future


@settings(max_examples=40, deadline=None)
@given(events=SESSION)
def test_undo_and_redo_of_everything_are_exact(events):
    changes = [event for event in events if not isinstance(event, Undo | Redo)]
    states = [after for *_, after in follow(changes)]
    assume(states)
    state = states[-1]
    for expected in [*states[-2::-1], start(plain_engine(COUNT))]:
        state = step(state, Undo())
        assert state.scene == expected.scene
    for expected in states:
        state = step(state, Redo())
        assert state.scene == expected.scene


def inner(frame, number, dx, dy):
    """A pixel of a square so far inside that the spot around it is too."""
    return 6 + frame + dx, 3 + 8 * (number - 1) + dy


@st.composite
def marks(draw, number):
    """Marks of one object, in and beside its square and away from the others'."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        frame, ends = draw(FRAME), draw(st.lists(st.tuples(*[st.integers(0, 1)] * 2), min_size=1))
        path = tuple(inner(frame, number, dx, dy) for dx, dy in ends)
        beside = (inner(frame, number, 15, 0),)
        found.append(
            draw(
                st.sampled_from(
                    [
                        Click(frame, number, *path[0]),
                        Click(frame, number, *beside[0], 0),
                        Scribble(frame, (Stroke(number, path),)),
                        Scribble(frame, (Stroke(number, path), Stroke(0, beside))),
                    ]
                )
            )
        )
    return found


@settings(max_examples=40, deadline=None)
@given(one=marks(1), three=marks(3), turns=st.lists(st.booleans(), max_size=8), span=PROPAGATE)
def test_the_order_of_independent_objects_does_not_matter(one, three, turns, span):
    mixed, left, right = [], list(one), list(three)
    for first in turns:
        source = left if first else right
        mixed += [source.pop(0)] if source else []
    orders = [one + three, three + one, mixed + left + right]
    ends = []
    for events in orders:
        state = start(plain_engine(COUNT))
        for event in events:
            state = step(state, event)
        ends.append([after for *_, after in follow([*events, span])][-1])
    for state in ends[1:]:
        for frame in range(COUNT):
            np.testing.assert_array_equal(state.labels(frame), ends[0].labels(frame))
            assert state.provenance(frame) == ends[0].provenance(frame)
