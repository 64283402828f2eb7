"""The weights that ship: present, small, described, and good enough for the demo's clip."""

import numpy as np
import pytest

from ivs_jax import load_engine, open_video, start, step
from ivs_jax.data.demo_clip import write_demo_clip
from ivs_jax.evaluation.region import iou
from ivs_jax.interaction import Click, Propagate
from ivs_jax.models import MODELS
from ivs_jax.weights.store import released_folder, weights_path

NAMES = ("click-small", "stm-small", "ipn-small")


def test_weights_and_cards_ship_and_stay_small():
    assert set(NAMES) <= set(MODELS)
    size = sum(weights_path(name).stat().st_size for name in NAMES)
    assert size <= 40e6
    for name in NAMES:
        card = (released_folder() / f"{name}.md").read_text()
        for word in ("Data", "Command", "Hardware", name):
            assert word in card, (name, word)


@pytest.mark.slow
def test_two_clicks_on_the_demo_clip_give_masks_of_all_its_frames(tmp_path):
    clip = write_demo_clip(tmp_path / "clip.mp4", frames=9)
    with open_video(clip.path) as video:
        state = start(load_engine(video))
        for (x, y), label in zip(clip.points, clip.labels, strict=True):
            state = step(state, Click(0, 1, x, y, label))
        satisfied, clicks = state.clicks_satisfied()
        assert satisfied == clicks == len(clip.points)
        state = step(state, Propagate(direction="forward"))
        masks = [state.labels(frame) == 1 for frame in range(len(video))]
    # The motorcycle fills about a third of the frame and moves little from frame to frame.
    assert 0.12 < masks[0].mean() < 0.5
    overlaps = [iou(a, b) for a, b in zip(masks, masks[1:], strict=False)]
    assert np.min(overlaps) > 0.6
