"""The list of events is the truth: saved, loaded and replayed it gives the same state."""

import json

import pytest

from ivs_jax.interaction import (
    Click,
    Event,
    Propagate,
    Redo,
    Undo,
)
from ivs_jax.session import load, replay, save, start, step
from tests.plain_engine import PlainVideo, plain_engine

RED, GREEN = (6, 3), (6, 11)
EVENTS: list[Event] = [
    Click(0, 1, *RED),
    Click(0, 2, *GREEN, 1),
    Propagate(),
    Undo(),
    Redo(),
    Click(4, 2, 1, 1),
]


def run(events, engine):
    state = start(engine)
    for event in events:
        state = step(state, event)
    return state


@pytest.fixture
def saved(tmp_path):
    state = run(EVENTS, plain_engine())
    save(state, tmp_path / "deep" / "session.json")
    return state, tmp_path / "deep" / "session.json"


def test_load_gives_the_same_state(saved):
    state, path = saved
    again = load(path, plain_engine())
    assert again == state and again.past == state.past and again.future == state.future
    record = json.loads(path.read_text())
    assert record["video"] == {"path": "clip.mp4", "frames": 8, "height": 24, "width": 40}


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    state, path = saved
    before = path.read_bytes()
    monkeypatch.setattr("json.dumps", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(state, path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]


def test_undone_and_overtaken_work_is_not_replayed():
    events: list[Event] = [
        Click(0, 1, *RED),
        Propagate(),
        Undo(),
        Click(0, 2, *GREEN),
        Propagate(),
        Undo(),
    ]
    state = run(events, plain_engine())
    engine = plain_engine()
    again = replay(events, engine)
    assert again == state and again.past == state.past and again.future == state.future
    assert len(engine.propagator.calls) == 1  # the second one: a redo can bring it back
    assert step(again, Redo()).scene == step(state, Redo()).scene


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda r: r["video"].update(frames=9), "frames 9, here it is 8"),
        (lambda r: r["video"].update(width=41), "width 41, here it is 40"),
        (lambda r: r.update(engine="other"), "engine 'other', here it is 'plain'"),
        (lambda r: r.update(version=2), "version 2, expected 1"),
        (lambda r: r.update(format="x"), "not a session file"),
        (lambda r: r.pop("events"), "no valid 'events'"),
        (lambda r: r["video"].pop("height"), "no video 'height'"),
        (lambda r: r["events"].append({"kind": "dance"}), "event 6: unknown event kind 'dance'"),
        (lambda r: r["events"].insert(0, {"kind": "undo"}), "event 0 takes back"),
        (lambda r: r["events"][0].update(x=99), "outside the frame"),
    ],
)
def test_files_that_do_not_fit_are_refused(saved, edit, words):
    path = saved[1]
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=words) as caught:
        load(path, plain_engine())
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_broken_files_are_refused(saved, tmp_path):
    path = saved[1]
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="not a whole session file"):
        load(path, plain_engine())
    with pytest.raises(ValueError, match="no such session file"):
        load(tmp_path / "nothing.json", plain_engine())
    with pytest.raises(ValueError, match="not a session file"):
        path.write_text("[1, 2]")
        load(path, plain_engine())


def test_path_of_the_video_may_change(saved):
    state, path = saved
    engine = plain_engine()
    moved = PlainVideo(path="elsewhere.mp4")
    assert (
        load(path, engine.__class__(moved, engine.interactor, engine.propagator, "plain")) == state
    )
