"""The verb of a session: what each event does, and every refusal."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest

from ivs_jax.interaction import (
    AddObject,
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Undo,
)
from ivs_jax.io import encode_rle
from ivs_jax.session import start, step
from tests.plain_engine import plain_engine

RED, GREEN = (6, 3), (6, 11)  # a pixel of each square on every frame 0..3


def session(*events, count=8, **options):
    state = start(plain_engine(count, **options))
    for event in events:
        state = step(state, event)
    return state


def truth(state, frame, *objects):
    labels = state.engine.video.truth(frame)
    return np.where(np.isin(labels, objects), labels, 0)


def mask(frame, number, where, size=(24, 40)):
    image = np.zeros(size, bool)
    image[where] = True
    return Mask(frame, number, encode_rle(image))


def test_click_adds_the_object_and_its_mask():
    state = session(Click(0, 1, *RED))
    assert state.objects == (1,) and state.annotated == (0,)
    np.testing.assert_array_equal(state.labels(0), truth(state, 0, 1))
    assert state.provenance(0) == {1: "user"} and state.provenance(1) == {}
    assert state.probability(0, 1).max() == pytest.approx(0.9, abs=0.01)
    assert state.probability(0, 2) is None and not state.labels(3).any()
    assert state.clicks_satisfied() == (1, 1)


def test_step_leaves_its_input_as_it_was():
    events: list[Event] = [
        Click(0, 1, *RED),
        Click(0, 2, *GREEN),
        Propagate(),
        Click(3, 1, 9, 3),
        RemoveObject(2),
        Undo(),
    ]
    state = start(plain_engine())
    for event in events:
        before = copy.deepcopy(state.scene), state.events, state.past, state.future
        step(state, event)
        assert (state.scene, state.events, state.past, state.future) == before
        state = step(state, event)


def test_previous_mask_and_all_clicks_reach_the_interactor():
    state = session(Click(0, 1, *RED), Click(0, 1, 30, 20, 0))
    calls = state.engine.interactor.calls
    assert calls[0][0] == 1 and calls[0][1] is None
    assert calls[1][0] == 2 and calls[1][1].max() == pytest.approx(0.9, abs=0.01)
    state = step(step(state, Propagate()), Click(2, 1, 8, 3))
    np.testing.assert_array_equal(calls[2][1] > 0.5, truth(state, 2, 1) == 1)


def test_an_object_that_propagation_lost_has_no_previous():
    state = session(mask(0, 1, (slice(0, 1), slice(0, 1))), Click(0, 2, *RED))
    state = step(state, Click(0, 1, 0, 0, 0))
    state = step(state, Propagate(limit=1))
    assert state.provenance(1)[1] == "propagated" and 1 not in state.labels(1)
    step(state, Click(1, 1, 7, 3))
    interactor: Any = state.engine.interactor
    assert interactor.calls[-1] == (1, None)


def test_mask_replaces_the_clicks_of_its_object_only():
    state = session(Click(0, 1, *RED), Click(0, 2, *GREEN), mask(0, 1, np.s_[20:22, 0:5]))
    assert (state.labels(0)[20:22, 0:5] == 1).all() and (state.labels(0) == 1).sum() == 10
    assert (state.labels(0) == 2).sum() == 36
    assert [click.object for click in state.scene.frames[0].hints] == [2]


def test_propagate_both_ways_from_the_middle():
    state = session(Click(3, 1, 9, 3), Propagate(3, "both"))
    for frame in range(8):
        np.testing.assert_array_equal(state.labels(frame), truth(state, frame, 1))
    assert state.engine.propagator.visited == [4, 5, 6, 7, 2, 1, 0]
    assert state.provenance(7) == {1: "propagated"} and state.provenance(3) == {1: "user"}


def test_propagate_starts_at_the_first_annotated_frame_and_obeys_its_limit():
    state = session(Click(5, 1, 11, 3), Click(2, 1, 8, 3), Propagate(limit=2))
    assert state.engine.propagator.visited == [3, 4]


def test_corrected_frames_stay_as_corrected():
    state = session(Click(0, 1, *RED), Click(0, 2, *GREEN), Propagate())
    odd = mask(4, 1, np.s_[20:24, 0:6])
    state = step(step(state, odd), Click(5, 1, 30, 22))
    assert state.provenance(4) == {1: "user", 2: "propagated"}
    assert state.provenance(5) == {1: "corrected", 2: "propagated"}
    kept = {f: state.labels(f) == 1 for f in (4, 5)}
    for event in (Propagate(), Propagate(7, "backward"), Propagate(4, "both")):
        state = step(state, event)
        for frame, labels in kept.items():
            np.testing.assert_array_equal(state.labels(frame) == 1, labels)
            assert state.provenance(frame)[2] == "propagated"
    assert (state.labels(4) == 2).sum() == 36  # the other object is still propagated there


def test_propagation_takes_no_pixel_of_a_marked_object():
    whole = mask(3, 2, np.s_[:, :])  # the user says: object 2 covers all of frame 3
    state = session(Click(0, 1, *RED), whole, Propagate())
    assert (state.labels(3) == 2).all() and state.provenance(3) == {1: "propagated", 2: "user"}


def test_the_propagator_is_told_what_is_known():
    state = session(Click(0, 1, *RED), Propagate(), Click(5, 2, 11, 11), Propagate(5, "both"))
    annotations, objects, frames, begin = state.engine.propagator.calls[1]
    assert (objects, frames, begin) == ((1, 2), (6, 7), 5)
    assert annotations[0].objects == (1,) and annotations[5].objects == (1, 2)
    np.testing.assert_array_equal(annotations[5].labels, truth(state, 5, 1, 2))
    step(state, Propagate(0))  # now frame 5 is no start: only what the user marked is told
    annotations = state.engine.propagator.calls[-1][0]
    assert annotations[5].objects == (2,) and set(np.unique(annotations[5].labels)) == {0, 2}


def test_a_segmented_frame_can_be_the_start():
    state = session(Click(0, 1, *RED), Propagate(limit=3), Propagate(3))
    np.testing.assert_array_equal(state.labels(7), truth(state, 7, 1))


def test_cancel_keeps_what_was_done_and_says_so():
    seen = []
    state = session(Click(3, 1, 9, 3))
    after = step(
        state,
        Propagate(3, "both"),
        progress=lambda *at: seen.append(at),
        cancel=lambda: len(seen) == 5,
    )
    assert seen == [(1, 7, 4), (2, 7, 5), (3, 7, 6), (4, 7, 7), (5, 7, 2)]
    assert after.events[-1] == Propagate(3, "both", done=(4, 1))
    assert sorted(after.scene.frames) == [2, 3, 4, 5, 6, 7]
    assert state.engine.propagator.closed == 2
    assert after.statistics.propagated == 5
    assert step(after, Undo()).scene == state.scene
    replayed = session(*after.events)
    assert replayed == after
    assert step(state, Propagate(), cancel=lambda: True) == state


def test_remove_object_shows_what_it_covered():
    cover = mask(0, 2, np.s_[:, :])
    state = session(Click(0, 1, *RED), cover, Propagate(), RemoveObject(2))
    np.testing.assert_array_equal(state.labels(0), truth(state, 0, 1))
    for frame in range(8):
        assert 2 not in state.labels(frame) and 2 not in state.provenance(frame)
    again = step(state, Click(0, 2, *GREEN))
    assert (again.labels(0) == 2).sum() == 36
    gone = step(step(again, RemoveObject(1)), RemoveObject(2))
    assert gone.scene.frames == {} and gone.objects == ()


def test_clear_brings_back_what_propagation_said():
    state = session(Click(0, 1, *RED), Propagate(), mask(2, 1, np.s_[0:2, 0:2]), Clear(2, 1))
    np.testing.assert_array_equal(state.labels(2), truth(state, 2, 1))
    assert state.provenance(2) == {1: "propagated"}
    assert 0 not in step(state, Clear(0, 1)).scene.frames


def test_add_object_names_before_and_after():
    state = session(AddObject(3, "cat"), Click(0, 3, *RED), AddObject(3, "dog"))
    assert dict(state.scene.objects) == {3: "dog"} and state.labels(0).max() == 3
    assert dict(step(state, Undo()).scene.objects) == {3: "cat"}


def test_undo_and_redo_are_exact():
    events: list[Event] = [Click(0, 1, *RED), Click(0, 2, *GREEN), Propagate(), Click(4, 1, 20, 20)]
    states = [session(*events[:n]) for n in range(5)]
    state = states[-1]
    for n in (3, 2, 1, 0):
        state = step(state, Undo())
        assert state.scene == states[n].scene
    for n in (1, 2, 3, 4):
        state = step(state, Redo())
        assert state.scene == states[n].scene
    interactor: Any = state.engine.interactor
    calls = len(interactor.calls)
    step(step(state, Undo()), Redo())
    assert len(interactor.calls) == calls  # nothing is computed again
    branch = step(step(state, Undo()), Click(7, 2, 13, 11))
    with pytest.raises(ValueError, match="nothing to redo"):
        step(branch, Redo())


def test_renaming_objects_renames_the_result():
    """The ids carry no meaning: 1, 2 -> 200, 7 gives the same masks under the new names."""
    names = {1: 200, 2: 7}
    events: list[Event] = [Click(0, 1, *RED), Click(0, 2, *GREEN), Propagate(), Click(3, 2, 30, 20)]
    state = session(*events)
    changes: list[Any] = list(events)
    renamed = session(
        *(
            dataclasses.replace(e, object=names[e.object]) if e != Propagate() else e
            for e in changes
        )
    )
    table = np.zeros(256, np.uint8)
    table[list(names)] = list(names.values())
    for frame in range(8):
        np.testing.assert_array_equal(renamed.labels(frame), table[state.labels(frame)])


def test_statistics_add_up_and_survive_undo():
    state = session(Click(0, 1, *RED), Click(0, 2, *GREEN), Undo(), Propagate())
    assert state.statistics.evaluations == 6 and state.statistics.propagated == 7
    assert state.statistics.seconds["refine"] == 1.0
    assert state.statistics.seconds["propagate"] > 0
    assert state == dataclasses.replace(state, statistics=start(state.engine).statistics)


def test_a_long_video_costs_bytes_not_masks():
    state = session(Click(0, 1, *RED), Propagate(), count=2000)
    held = sum(len(f.labels) for f in state.scene.frames.values())
    assert len(state.scene.frames) == 2000 and held < 2000 * 24 * 40 / 4
    shared = [f for f in state.scene.frames.values() if f.propagated is not None]
    assert all(f.labels is f.propagated for f in shared)

    def arrays(value):
        if dataclasses.is_dataclass(value):
            fields = (f.name for f in dataclasses.fields(value) if f.name != "engine")
            return any(arrays(getattr(value, name)) for name in fields)
        if isinstance(value, dict):
            return any(arrays(v) for v in value.values())
        if isinstance(value, tuple):
            return any(arrays(v) for v in value)
        return isinstance(value, np.ndarray)

    assert not arrays(state)


REFUSALS = [
    (Click(0, 1, 40, 3), "x 40, y 3 is outside.*40 wide and 24 high"),
    (Click(0, 1, 3, -1), "outside"),
    (Click(8, 1, 3, 3), r"frame 8 .*0\.\.7"),
    (Click(-1, 1, 3, 3), "frame -1"),
    (Click(0, 0, 3, 3), r"1\.\.254, got 0"),
    (Click(0, 255, 3, 3), "got 255"),
    (AddObject(255), "got 255"),
    (mask(0, 1, np.s_[0:1], size=(5, 6)), r"\[5, 6\].*\[24, 40\]"),
    (mask(9, 1, np.s_[0:1]), "frame 9"),
    (RemoveObject(2), "no object 2, objects are none yet"),
    (Clear(0, 1), "no clicks, strokes or mask"),
    (Undo(), "nothing to undo"),
    (Redo(), "nothing to redo"),
    (Propagate(), "no frame is annotated"),
    (Propagate(3), "frame 3: it has no masks"),
    (Propagate(99), "frame 99 is outside"),
    ("click", "unknown event"),
]


@pytest.mark.parametrize("event, words", REFUSALS, ids=lambda value: str(value)[:40])
def test_refusals_name_the_trouble(event, words):
    with pytest.raises(ValueError, match=words):
        step(session(), event)


def test_propagation_to_nowhere_is_refused():
    with pytest.raises(ValueError, match="backward from frame 0"):
        session(Click(0, 1, *RED), Propagate(direction="backward"))
    with pytest.raises(ValueError, match="1 frame$"):
        session(Click(0, 1, *RED), Propagate(direction="both"), count=1)
    with pytest.raises(ValueError, match="frames done"):
        session(Click(0, 1, *RED), Propagate(done=(99, 0)))
