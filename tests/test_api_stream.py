"""One frame in, one mask out: on an engine without networks."""

import numpy as np
import pytest

from ivs_jax.api import StreamPredictor, VideoPredictor
from ivs_jax.session import Engine
from tests.plain_engine import (
    PlainInteractor,
    PlainPropagator,
    PlainStreamPropagator,
    PlainVideo,
)

VIDEO = PlainVideo()
RED, GREEN, BLUE = (6, 3), (6, 11), (6, 19)


def load(video, *, propagator=None):
    return Engine(video, PlainInteractor(), propagator or PlainStreamPropagator(), "plain")


@pytest.fixture
def predictor():
    return StreamPredictor(load)


def truth(frame, *objects):
    labels = VIDEO.truth(frame)
    return np.where(np.isin(labels, objects), labels, 0)


def same(found, expected):
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_segmented_before_it_is_annotated(predictor):
    same(predictor.step(VIDEO[0]), np.zeros((24, 40)))
    same(predictor.step(VIDEO[1], truth(1, 1)), truth(1, 1))
    assert predictor.objects == [1]


@pytest.mark.parametrize(
    "given",
    [
        {"mask": truth(0, 1, 2)},
        {"mask": truth(0, 1, 2).astype(np.int64), "objects": [1, 2]},
        {"clicks": [(1, *RED, 1), (2, *GREEN, 1)]},
        {"mask": truth(0, 1) == 1, "clicks": [(2, *GREEN, 1)]},
        {"mask": truth(0, 2) == 2, "objects": [2], "clicks": [(1, *RED, 1), (1, *GREEN, 0)]},
    ],
)
def test_masks_and_clicks_are_carried_on(predictor, given):
    same(predictor.step(VIDEO[0], **given), truth(0, 1, 2))
    for frame in range(1, 8):
        same(predictor.step(VIDEO[frame]), truth(frame, 1, 2))


def test_the_masks_are_those_of_a_video():
    video = VideoPredictor(load)
    state = video.init_state([VIDEO[i] for i in range(len(VIDEO))])
    video.add_new_points(state, 0, 1, [RED], [1])
    video.add_new_points(state, 0, 2, [GREEN], [1])
    wanted = [frame for frame, _, _ in video.propagate_in_video(state)]
    stream = StreamPredictor(load)
    for frame in wanted:
        clicks = [(1, *RED, 1), (2, *GREEN, 1)] if frame == 0 else None
        same(stream.step(VIDEO[frame], clicks=clicks), state.session.labels(frame))


def test_objects_come_and_go_at_any_frame(predictor):
    predictor.step(VIDEO[0], truth(0, 2))
    same(predictor.step(VIDEO[1], clicks=[(1, 7, 3, 1)]), truth(1, 1, 2))
    same(predictor.step(VIDEO[2], truth(2, 3), objects=[3]), truth(2, 1, 2, 3))
    assert predictor.objects == [1, 2, 3]
    predictor.delete_objects([1, 3])
    same(predictor.step(VIDEO[3]), truth(3, 2))
    predictor.clear_non_permanent_memory()
    same(predictor.step(VIDEO[4]), truth(4, 2))
    predictor.clear_memory()
    same(predictor.step(VIDEO[5]), np.zeros((24, 40)))
    predictor.clear_memory()
    predictor.clear_non_permanent_memory()
    predictor.step(np.zeros((10, 12, 3), np.uint8))  # another video


def test_an_object_that_is_said_to_be_absent(predictor):
    predictor.step(VIDEO[0], truth(0, 1, 2))
    found = predictor.step(VIDEO[1], truth(1, 2), objects=[1, 2])
    same(found, truth(1, 2))


def test_a_click_corrects_the_mask_of_the_frame(predictor):
    predictor.step(VIDEO[0], truth(0, 1))
    denied = predictor.step(VIDEO[1], clicks=[(1, 7, 3, 0)])
    assert denied[3, 7] == 0
    number, previous = predictor._engine.interactor.calls[-1]
    assert number >= 1 and (previous > 0.5).sum() == 36  # what propagation said


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"image": VIDEO[0].astype(np.float32)}, r"image is float32 \[24, 40, 3\]"),
        ({"image": VIDEO[0][:, :20]}, r"image is \[24, 20\].*before were \[24, 40\].*clear_memory"),
        ({"mask": np.zeros((24, 20), np.uint8)}, r"mask is \[24, 20\], expected.*\[24, 40\]"),
        ({"mask": np.zeros((24, 40), np.uint8)}, "mask holds no object"),
        ({"mask": np.full((24, 40), np.nan)}, "mask is float64, expected object ids"),
        ({"mask": truth(0, 1, 2), "objects": [1]}, r"mask holds object 2, expected .* \[1\]"),
        ({"mask": np.full((24, 40), 300)}, r"object id must be 1\.\.254, got 300"),
        ({"mask": np.full((24, 40), -1)}, "got -1"),
        ({"mask": truth(0, 1) == 1, "objects": [1, 2]}, r"of one object, found objects \[1, 2\]"),
        ({"clicks": [(1, 6, 3)]}, "clicks must be .object id, x, y, label. each"),
        ({"clicks": [(1, 600, 3, 1)]}, "outside the frame"),
        ({"clicks": [(1, 6, 3, 99)]}, "label must be 1 .object. or 0 .background., got 99"),
        ({"clicks": [(0, 6, 3, 1)]}, "object id must be"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(predictor, arguments, words):
    predictor.step(VIDEO[0], truth(0, 1))
    before = predictor._stream
    with pytest.raises(ValueError, match=words):
        predictor.step(**{"image": VIDEO[1], **arguments})
    assert predictor._stream is before


def test_unknown_objects_and_networks(predictor):
    with pytest.raises(ValueError, match="no object 1, objects are none yet"):
        predictor.delete_objects([1])
    predictor.step(VIDEO[0], truth(0, 1, 2))
    with pytest.raises(ValueError, match=r"no object 7, objects are \[1, 2\]"):
        predictor.delete_objects([1, 7])
    assert predictor.objects == [1, 2]
    with pytest.raises(ValueError, match="network of plain cannot follow a stream"):
        StreamPredictor(load, propagator=PlainPropagator()).step(VIDEO[0])
    with pytest.raises(TypeError, match="StreamPredictor has no option 'model'"):
        StreamPredictor(load, model="stm-small")
