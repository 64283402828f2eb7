"""The names users know, on an engine without networks."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from ivs_jax.api import ImagePredictor, VideoPredictor, box_clicks
from ivs_jax.interaction import Clear, Click, Scribble, Stroke
from ivs_jax.session import Engine
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo

VIDEO = PlainVideo()
RED, GREEN = (6, 3), (6, 11)


def load(video, *, name="plain"):
    return Engine(video, PlainInteractor(), PlainPropagator(), name)


@pytest.fixture
def image():
    predictor = ImagePredictor(load)
    predictor.set_image(VIDEO[0])
    return predictor


@pytest.fixture
def video(tmp_path):
    """(predictor, state) of a folder of frames."""
    for i in range(len(VIDEO)):
        Image.fromarray(VIDEO[i]).save(tmp_path / f"f{i}.png")
    predictor = VideoPredictor(load, name="named")
    return predictor, predictor.init_state(tmp_path)


def squares(frame, *objects):
    return np.stack([VIDEO.truth(frame) == number for number in objects])[:, None]


def test_image_prediction(image):
    masks, scores, logits = image.predict(np.array([RED]), np.array([1]))
    assert masks.dtype == bool and masks.shape == (1, 24, 40) and logits.dtype == np.float32
    np.testing.assert_array_equal(masks[0], VIDEO.truth(0) == 1)
    np.testing.assert_array_equal(logits > 0, masks)
    assert scores == pytest.approx([0.9])
    assert image.predict([RED], [1], return_logits=True)[0].dtype == np.float32


def test_image_prediction_from_an_earlier_one(image):
    logits = image.predict([RED], [1])[2]
    image.predict([RED, GREEN, (0, 0)], [1, 0, -1], mask_input=logits)
    count, previous = image._engine.interactor.calls[-1]
    assert count == 2
    np.testing.assert_allclose(previous, image.predict([RED], [1])[2][0] > 0, atol=0.11)


def test_a_box_is_clicks(image):
    assert box_clicks(np.array([4, 1, 9, 6]), (24, 40)) == [
        (6.5, 3.5, 1),
        (2, 8, 0),
        (11, 8, 0),
    ]
    masks, _, _ = image.predict(box=np.array([4, 1, 9, 6]))
    np.testing.assert_array_equal(masks[0], VIDEO.truth(0) == 1)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "needs a point or a box"),
        ({"point_coords": [RED]}, r"points are \[1, 2\] with 0 labels, expected \[N, 2\]"),
        ({"point_coords": [RED], "point_labels": [3]}, r"-1 .padding., found \[3\]"),
        ({"point_coords": [(50, 1)], "point_labels": [1]}, "outside the frame"),
        ({"box": [9, 1, 4, 6]}, "x0 < x1"),
        ({"scribbles": [(2, [RED])]}, "stroke label must be 1 .object. or 0 .background., got 2"),
        ({"scribbles": [(1, [RED, (6, 30)])]}, "stroke point at x 6, y 30 is outside the frame"),
        ({"scribbles": [(0, [RED])]}, "a stroke on the object"),
        ({"box": [4, 1, 9, 6], "mask_input": np.zeros((2, 2))}, r"mask_input is \[2, 2\]"),
    ],
)
def test_image_refusals(image, options, words):
    with pytest.raises(ValueError, match=words):
        image.predict(**options)


def test_an_image_comes_first():
    predictor = ImagePredictor(load)
    with pytest.raises(ValueError, match="call set_image first"):
        predictor.predict([RED], [1])
    with pytest.raises(ValueError, match=r"float32 \[3\]"):
        predictor.set_image(np.zeros(3, np.float32))
    predictor.set_image(VIDEO[0])
    engine = predictor._engine
    predictor.reset_image()
    with pytest.raises(ValueError, match="call set_image first"):
        predictor.predict([RED], [1])
    predictor.set_image(VIDEO[1])
    assert predictor._engine is engine  # networks are loaded once


def test_video_prediction(video):
    predictor, state = video
    assert state.session.engine.name == "named"
    predictor.add_new_points_or_box(state, 0, 2, [GREEN], [1])
    frame, ids, logits = predictor.add_new_points(state, 0, 1, np.array([RED]), np.array([1]))
    assert (frame, ids, logits.shape) == (0, [1, 2], (2, 1, 24, 40))
    found = list(predictor.propagate_in_video(state))
    assert [frame for frame, _, _ in found] == list(range(8))
    for frame, _, logits in found:
        np.testing.assert_array_equal(logits > 0, squares(frame, 1, 2))


def test_points_given_are_all_there_are(video):
    predictor, state = video
    predictor.add_new_points_or_box(state, 0, 1, [RED], [1])
    predictor.add_new_points_or_box(state, 0, 1, [RED, GREEN], [1, 0])
    assert state.session.events == (Click(0, 1, *RED), Click(0, 1, *GREEN, 0))
    predictor.add_new_points_or_box(state, 0, 1, [GREEN], [1])
    assert state.session.events[2:] == (Clear(0, 1), Click(0, 1, *GREEN))
    predictor.add_new_points_or_box(state, 0, 1, [RED], [1], clear_old_points=False)
    assert len(state.session.scene.frames[0].hints) == 2
    before = state.session
    with pytest.raises(ValueError, match="outside"):
        predictor.add_new_points_or_box(state, 0, 1, [RED, (99, 0)], [1, 1])
    assert state.session is before


def test_strokes_on_an_image(image):
    masks, _, logits = image.predict(
        scribbles=[(1, np.array([RED, (7, 3)])), (0, [(6, 9), (9, 9)])]
    )
    np.testing.assert_array_equal(masks[0], VIDEO.truth(0) == 1)
    masks, _, _ = image.predict([RED], [1], mask_input=logits, scribbles=[(0, [(4, 5), (9, 5)])])
    assert not masks[0, 5, 4:10].any() and masks[0, 3, 6]  # the network denies, the click holds


def test_strokes_in_a_video(video):
    predictor, state = video
    green = np.array([GREEN, (7, 11)])
    frame, ids, logits = predictor.add_new_scribbles(state, 0, [(2, green), (1, [RED])])
    assert (frame, ids) == (0, [1, 2])
    np.testing.assert_array_equal(logits > 0, squares(0, 1, 2))
    first: Any = state.session.events[0]
    assert first == Scribble(0, (Stroke(2, (GREEN, (7, 11))), Stroke(1, (RED,))))
    _, _, logits = predictor.add_new_scribbles(state, 0, [(0, [(4, 5), (9, 5)])])
    assert not (logits > 0)[:, 0, 5].any()
    before = state.session
    with pytest.raises(ValueError, match="one or more strokes"):
        predictor.add_new_scribbles(state, 0, [])
    assert state.session is before
    predictor.add_new_points_or_box(state, 0, 1, [(9, 6)], [1])  # strokes are kept
    assert len(state.session.scene.frames[0].hints) == 3


def test_masks_removal_and_reset(video):
    predictor, state = video
    _, _, logits = predictor.add_new_mask(state, 1, 7, VIDEO.truth(1) == 3)
    np.testing.assert_array_equal(logits > 0, squares(1, 3))
    predictor.add_new_points(state, 1, 1, [(7, 3)], [1])
    assert predictor.remove_object(state, 99) == ([1, 7], [])
    with pytest.raises(ValueError, match="no object 99"):
        predictor.remove_object(state, 99, strict=True)
    ids, [(frame, logits)] = predictor.remove_object(state, 1)
    assert (ids, frame) == ([7], 1)
    np.testing.assert_array_equal(logits > 0, squares(1, 3))
    assert not (predictor.clear_all_prompts_in_frame(state, 1, 7)[2] > 0).any()
    predictor.clear_all_prompts_in_frame(state, 1, 7)  # nothing there: nothing to do
    predictor.reset_state(state)
    assert state.session.objects == () and state.session.events == ()


def test_propagation_can_be_limited_reversed_and_left(video):
    predictor, state = video
    predictor.add_new_points(state, 4, 1, [(10, 3)], [1])

    def frames(*args, **options):
        return [frame for frame, _, _ in predictor.propagate_in_video(state, *args, **options)]

    assert frames(reverse=True) == [4, 3, 2, 1, 0]
    assert frames(4, 2) == [4, 5, 6] and frames(4, 0) == [4]
    assert frames(0, reverse=True) == [0]
    for frame, _, _ in predictor.propagate_in_video(state, 4):
        if frame == 5:
            break
    last: Any = state.session.events[-1]
    assert last.done == (1, 0)
    run = predictor.propagate_in_video(state)
    next(run), next(run)
    predictor.reset_state(state)
    with pytest.raises(ValueError, match="was changed while"):
        next(run)
    with pytest.raises(ValueError, match="no frame is annotated"):
        frames()
