"""The names and the order of arguments that users of SAM and SAM 2 bring, and what is refused."""

import inspect

import numpy as np
import pytest
from PIL import Image

from ivs_jax.api import ImagePredictor, VideoPredictor
from ivs_jax.interaction import Click, Propagate
from ivs_jax.session import Engine
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo

VIDEO = PlainVideo()
FRAMES = np.stack([VIDEO[i] for i in range(len(VIDEO))])
RED, GREEN = (6, 3), (6, 11)


def load(video, *, name="plain", budget=None):
    return Engine(video, PlainInteractor(), PlainPropagator(), name)


@pytest.fixture
def predictor():
    return VideoPredictor(load)


@pytest.fixture
def state(predictor):
    return predictor.init_state(FRAMES)


SAM2 = {
    "init_state": "video_path",
    "add_new_points": "inference_state frame_idx obj_id points labels clear_old_points "
    "normalize_coords box",
    "add_new_points_or_box": "inference_state frame_idx obj_id points labels clear_old_points "
    "normalize_coords box",
    "add_new_mask": "inference_state frame_idx obj_id mask",
    "propagate_in_video": "inference_state start_frame_idx max_frame_num_to_track reverse",
    "clear_all_prompts_in_frame": "inference_state frame_idx obj_id need_output",
    "reset_state": "inference_state",
    "remove_object": "inference_state obj_id strict need_output",
}
SAM = {
    "set_image": "image image_format",
    "predict": "point_coords point_labels box mask_input multimask_output return_logits",
    "reset_image": "",
    "reset_predictor": "",
}


@pytest.mark.parametrize(
    "predictor, name, expected",
    [(VideoPredictor, *item) for item in SAM2.items()]
    + [(ImagePredictor, *item) for item in SAM.items()],
)
def test_arguments_stand_in_the_known_order(predictor, name, expected):
    parameters = list(inspect.signature(getattr(predictor, name)).parameters.values())[1:]
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == expected.split()


def test_sams_call_by_position():
    predictor = ImagePredictor(load)
    predictor.set_image(FRAMES[0])
    want = predictor.predict([RED], [1])
    for multimask in (True, False):
        masks, scores, logits = predictor.predict(
            np.array([RED]), np.array([1]), None, want[2], multimask, False
        )
        assert masks.dtype == bool and masks.shape == logits.shape == (1, 24, 40)
        assert scores.shape == (1,)
    assert predictor.predict([RED], [1], None, None, True, True)[0].dtype == np.float32


def test_points_in_shares_of_width_and_height(predictor, state):
    shares = np.array([RED]) / [40, 24]
    predictor.add_new_points(state, 0, 1, shares, [1], normalize_coords=False)
    assert state.session.events == (Click(0, 1, *RED),)
    predictor.add_new_points(state, 0, 2, [(1, 1), (0.25, 0.5)], [0, 1], True, False)
    assert state.session.events[1:] == (Click(0, 2, 39, 23, 0), Click(0, 2, 10, 12))
    box = np.array([4, 1, 9, 6]) / [40, 24, 40, 24]
    predictor.add_new_points_or_box(state, 1, 3, box=box, normalize_coords=False)
    assert state.session.events[3] == Click(1, 3, 6.5, 3.5)
    with pytest.raises(ValueError, match=r"points must be in 0\.\.1 with normalize_coords=False"):
        predictor.add_new_points(state, 0, 1, [RED], [1], normalize_coords=False)


def test_output_is_left_out_on_demand(predictor, state):
    predictor.add_new_points(state, 0, 1, [RED], [1])
    predictor.add_new_points(state, 3, 1, [(9, 3)], [1])
    predictor.add_new_points(state, 0, 2, [GREEN], [1])
    assert predictor.clear_all_prompts_in_frame(state, 0, 2, need_output=False) is None
    ids, updated = predictor.remove_object(state, 1)
    assert ids == [2] and [frame for frame, _ in updated] == [0, 3]
    assert updated[0][1].shape == (1, 1, 24, 40)
    predictor.undo(state)
    assert predictor.remove_object(state, 1, need_output=False) == ([2], [])


def test_rounds_undo_redo_and_suggestions(predictor, state):
    predictor.add_new_points(state, 0, 1, [RED], [1])
    list(predictor.propagate_in_video(state))
    predictor.add_new_points(state, 5, 1, [(11, 3)], [1])
    assert [frame for frame, _, _ in predictor.propagate_round(state)] == [5, 6, 7, 4, 3, 2, 1]
    assert state.session.events[-1] == Propagate(5, "both", span="round")
    assert [frame for frame, _, _ in predictor.propagate_round(state, 0)] == [0, 1, 2, 3, 4]
    after = state.session.scene
    for _ in range(5):
        ids = predictor.undo(state)
    assert ids == []
    with pytest.raises(ValueError, match="nothing to undo"):
        predictor.undo(state)
    for _ in range(5):
        ids = predictor.redo(state)
    assert ids == [1] and state.session.scene == after
    with pytest.raises(ValueError, match="nothing to redo"):
        predictor.redo(state)
    assert predictor.suggest(state, 1) == predictor.suggest(state)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        predictor.suggest(state, 0)


def test_a_saved_state_goes_on(predictor, state, tmp_path):
    predictor.add_new_points(state, 0, 1, [RED], [1])
    list(predictor.propagate_in_video(state))
    predictor.undo(state)
    predictor.save(state, tmp_path / "session.json")
    again = predictor.load_state(iter(FRAMES), str(tmp_path / "session.json"))
    assert again.session == state.session
    assert predictor.redo(again) == [1]
    with pytest.raises(ValueError, match="session was made with frames 8, here it is 3"):
        predictor.load_state(FRAMES[:3], tmp_path / "session.json")
    with pytest.raises(ValueError, match="no such session file"):
        predictor.load_state(FRAMES, tmp_path / "other.json")


def test_frames_in_memory_give_the_masks_of_files(predictor, tmp_path):
    for number, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    masks = []
    for video in (tmp_path, FRAMES, list(FRAMES), iter(FRAMES), pictures, iter(pictures)):
        state = predictor.init_state(video)
        predictor.add_new_points(state, 0, 1, [RED], [1])
        masks.append(np.stack([m for _, _, m in predictor.propagate_in_video(state)]))
    for other in masks[1:]:
        np.testing.assert_array_equal(masks[0], other)


@pytest.mark.parametrize("kind", [ImagePredictor, VideoPredictor])
def test_options_fail_at_construction(kind):
    with pytest.raises(TypeError, match=rf"{kind.__name__} has no option 'modle'.*name, budget"):
        kind(load, modle="click-small")
    with pytest.raises(TypeError, match="no option 'modle', expected one of model, interaction"):
        kind(modle="click-small")
    with pytest.raises(TypeError, match="'device', expected one of none"):
        kind(lambda video: load(video), device="cpu")
    with pytest.raises(TypeError, match="load_engine is 'click-small', expected a function"):
        kind("click-small")
    kind(lambda video, **options: load(video), anything=1)


def nan_mask():
    mask = np.zeros((24, 40), np.float32)
    mask[3, 4] = np.nan
    return mask


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("add_new_points", (0, 1, [[6, 7, 8], [3, 3, 3]], [1, 1, 1]), r"points are \[2, 3\]"),
        ("add_new_points", (0, 1, [RED], [1, 1]), r"\[1, 2\] with 2 labels, expected \[N, 2\]"),
        ("add_new_points", (0, 1, RED, [1]), r"points are \[2\] with 1 labels"),
        ("add_new_points", (0, 1, [RED]), "with 0 labels"),
        ("add_new_points", (0, 1, [RED], [99]), r"labels must be 1 .object., .*found \[99\]"),
        ("add_new_points", (0, 1, [(np.nan, 3)], [1]), "points must be finite"),
        ("add_new_points", (0, 1, [(400, 3)], [1]), "x 400, y 3 is outside the frame"),
        ("add_new_points", (-1, 1, [RED], [1]), r"frame -1 is outside the video.*0\.\.7"),
        ("add_new_points", (8, 1, [RED], [1]), "frame 8 is outside the video"),
        ("add_new_points", (0, 0, [RED], [1]), r"object id must be 1\.\.254, got 0"),
        ("add_new_points", (0, 255, [RED], [1]), "got 255"),
        ("add_new_points", (0, 1.5, [RED], [1]), "object must be a whole number, got 1.5"),
        ("add_new_points", (0, 1), "needs a point or a box"),
        ("add_new_mask", (0, 1, np.zeros((1, 2, 3))), r"mask is \[1, 2, 3\], expected \[H, W\]"),
        ("add_new_mask", (0, 1, np.zeros((40, 24))), r"expected \[H, W\] = \[24, 40\]"),
        ("add_new_mask", (0, 1, nan_mask()), "mask must be finite, found NaN"),
        ("add_new_mask", (0, 1, np.full((24, 40), "a")), "mask is <U1, expected bool or numbers"),
        ("add_new_mask", (-2, 1, np.zeros((24, 40))), "frame -2 is outside"),
        ("add_new_mask", (0, 300, np.zeros((24, 40))), "got 300"),
        ("propagate_in_video", (), "no frame is annotated"),
        ("propagate_in_video", (-1,), "frame -1 is outside the video"),
        ("propagate_in_video", (0, -1), "max_frame_num_to_track must be .* got -1"),
        ("propagate_in_video", (0, 2.5), "max_frame_num_to_track must be .* got 2.5"),
        ("propagate_round", (), "no frame is annotated"),
        ("propagate_round", (3,), "nothing to propagate from frame 3"),
        ("clear_all_prompts_in_frame", (0, 5), "no object 5, objects are none yet"),
        ("remove_object", (5, True), "no object 5"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(predictor, state, name, arguments, words):
    before = state.session
    with pytest.raises(ValueError, match=words):
        found = getattr(predictor, name)(state, *arguments)
        list(found)  # a generator begins when it is asked
    assert state.session is before


def test_a_frame_to_clear_outside_the_video(predictor, state):
    predictor.add_new_points(state, 0, 1, [RED], [1])
    with pytest.raises(ValueError, match="frame -1 is outside the video"):
        predictor.clear_all_prompts_in_frame(state, -1, 1)
