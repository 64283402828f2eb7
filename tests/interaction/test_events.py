"""Events: JSON there and back, and clear refusals."""

import json
from typing import Any

import numpy as np
import pytest

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
    from_json,
    to_json,
)

RLE = {"size": [2, 3], "counts": "06"}
EVENTS = [
    Click(0, 1, 3.5, 4),
    Click(7, 254, 0, 0, 0),
    Mask(2, 3, RLE),
    Propagate(),
    Propagate(4, "both", 10, (10, 3)),
    Propagate(4, span="round"),
    Scribble(3, (Stroke(1, ((0, 1.5), (4, 5))), Stroke(0, ((7, 7),)))),
    AddObject(2, "the dog"),
    RemoveObject(2),
    Clear(1, 2),
    Undo(),
    Redo(),
]


def scribble(stroke):
    return {"kind": "scribble", "frame": 0, "strokes": [stroke]}


@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_json_round_trip(event):
    text = json.dumps(to_json(event))
    assert from_json(json.loads(text)) == event


def test_defaults_may_be_left_out():
    assert from_json({"kind": "click", "frame": 1, "object": 2, "x": 3, "y": 4}) == Click(
        1, 2, 3, 4, 1
    )
    assert from_json({"kind": "propagate"}) == Propagate()


def test_numpy_numbers_become_plain():
    numbers: Any = (np.int64(1), np.uint8(2), np.float32(3), np.int32(4), np.int64(0))
    event = Click(*numbers)
    assert json.loads(json.dumps(to_json(event)))["frame"] == 1


def test_the_json_of_a_scribble():
    record = to_json(Scribble(3, (Stroke(2, ((0, 1.5), (4, 5))),)))
    strokes = [{"object": 2, "path": [[0, 1.5], [4, 5]]}]
    assert record == {"kind": "scribble", "frame": 3, "strokes": strokes}


def test_arrays_become_plain_paths():
    given: Any = np.array([[0, 1.5], [4, 5]], np.float32)
    stroke = Stroke(2, given)
    assert stroke == Stroke(2, ((0, 1.5), (4, 5))) and hash(stroke) == hash(Stroke(2, stroke.path))
    several: Any = [stroke]
    assert Scribble(0, several).strokes == (stroke,)


def test_events_cannot_be_changed():
    with pytest.raises(AttributeError):
        Click(0, 1, 2, 3).x = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "record, words",
    [
        ({"kind": "clack"}, "unknown event kind 'clack'.*click"),
        ({"kind": ["click"]}, "unknown event kind"),
        ({"frame": 1}, "'kind'"),
        ([1], "'kind'"),
        ({"kind": "undo", "frame": 1}, "unknown field 'frame'"),
        ({"kind": "click", "frame": 0, "object": 1, "x": 1}, "no field 'y'"),
        ({"kind": "clear", "frame": 0.5, "object": 1}, "Clear frame.*whole number.*0.5"),
        ({"kind": "clear", "frame": True, "object": 1}, "whole number"),
        ({"kind": "click", "frame": 0, "object": 1, "x": "a", "y": 1}, "x must be a number"),
        ({"kind": "click", "frame": 0, "object": 1, "x": np.nan, "y": 1}, "x must be finite"),
        ({"kind": "click", "frame": 0, "object": 1, "x": 1, "y": 1, "label": -1}, "label.*-1"),
        ({"kind": "propagate", "direction": "up"}, "forward, backward, both.*'up'"),
        ({"kind": "propagate", "limit": 0}, "at least 1"),
        ({"kind": "propagate", "done": [0, 0]}, "done"),
        ({"kind": "propagate", "done": 3}, "done"),
        ({"kind": "mask", "frame": 0, "object": 1, "rle": {"size": [1, 2]}}, "rle"),
        ({"kind": "mask", "frame": 0, "object": 1, "rle": {"size": 4, "counts": "1"}}, "size"),
        ({"kind": "mask", "frame": 0, "object": 1, "rle": "x"}, "rle.*str"),
        ({"kind": "add_object", "object": 1, "name": 5}, "name must be text"),
        ({"kind": "propagate", "span": "half"}, "video, round.*'half'"),
        ({"kind": "scribble", "frame": 0, "strokes": []}, "one or more strokes, got \\[\\]"),
        ({"kind": "scribble", "frame": 0, "strokes": 5}, "one or more strokes, got 5"),
        ({"kind": "scribble", "frame": 0, "strokes": [5]}, "stroke must be an object.*got 5"),
        ({"kind": "scribble", "strokes": [{"object": 1, "path": [[0, 0]]}]}, "no field 'frame'"),
        (scribble({"object": 1}), "stroke has no field 'path', its fields are object, path"),
        (scribble({"object": 1, "path": [[0, 0]], "w": 2}), "stroke has unknown field 'w'"),
        (scribble({"object": 1, "path": []}), "path must have a point"),
        (scribble({"object": 1, "path": [[0]]}), "path must be points"),
        (scribble({"object": 1, "path": [0, 0]}), "path must be points"),
        (scribble({"object": 1, "path": [["a", 0]]}), "path must be points"),
        (scribble({"object": 1, "path": [[0, np.inf]]}), "path must be finite, got .0.0, inf"),
        (scribble({"object": 1.5, "path": [[0, 0]]}), "Stroke object must be a whole number"),
    ],
)
def test_wrong_records_are_refused(record, words):
    with pytest.raises(ValueError, match=words):
        from_json(record)
