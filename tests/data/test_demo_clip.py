"""The demo's clip: size, determinism, real motion, and clicks that lie on the object."""

from pathlib import Path

import av
import numpy as np
import pytest

from ivs_jax.data.demo_clip import (
    _CLICKS,
    SIZE,
    DemoClip,
    _disparity_at,
    _fill_gaps,
    _stereo_pair,
    write_demo_clip,
)

FRAMES = 4


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> DemoClip:
    return write_demo_clip(tmp_path_factory.mktemp("demo") / "new" / "clip.mp4", frames=FRAMES)


def test_frames_and_size(clip: DemoClip) -> None:
    assert (clip.frames, clip.size) == (FRAMES, SIZE)
    assert read(clip.path).shape == (FRAMES, *SIZE, 3)


def test_the_same_call_writes_the_same_file(clip: DemoClip, tmp_path: Path) -> None:
    again = write_demo_clip(tmp_path / "again.mp4", frames=FRAMES)
    assert again.path.read_bytes() == clip.path.read_bytes()


def test_more_frames_pass_the_same_way(clip: DemoClip, tmp_path: Path) -> None:
    fine = read(write_demo_clip(tmp_path / "fine.mp4", frames=2 * FRAMES - 1).path)
    difference = np.abs(fine[::2].astype(float) - read(clip.path)).mean(axis=(1, 2, 3))
    assert difference.max() < 3  # what the encoder changes; neighbouring frames differ by > 10


def test_consecutive_frames_differ_and_stay_one_scene(clip: DemoClip) -> None:
    frames = read(clip.path).astype(float)
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        assert np.abs(after - before).mean() > 10
        # Each colour's histogram hardly changes: it is the same scene, without black borders.
        assert np.abs(after.mean(axis=(0, 1)) - before.mean(axis=(0, 1))).max() < 20


def test_the_first_click_lies_on_the_grey_engine_under_the_red_tank(clip: DemoClip) -> None:
    x, y = (round(value) for value in clip.points[0])
    frame = read(clip.path)[0].astype(int)
    engine = frame[y - 4 : y + 5, x - 4 : x + 5].mean((0, 1))
    tank = frame[y - 45, x + 11]
    assert np.ptp(engine) < 25 and tank[0] > 2 * tank[1]


def test_all_clicks_lie_on_something_in_front_of_the_room(clip: DemoClip) -> None:
    assert clip.labels == (1, 1, 1)
    left, _ = _stereo_pair()
    for (x, y), _label in _CLICKS:
        row = left.disparity[round(y)]
        # The left end of each row shows the back of the room or the floor at that height.
        assert row[round(x)] > row[:60].max() + 5


def test_a_near_surface_hides_a_far_one_and_uncovers_the_background() -> None:
    disparity = np.full((1, 12), 2.0, np.float32)
    disparity[0, 6:9] = 4.0
    # Every pixel moves left by its disparity: 2, the near ones by 4, leaving columns 5, 6 (and the
    # right end) unseen; these are background.
    expected = np.array([[2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2]], np.float32)
    np.testing.assert_array_equal(_disparity_at(disparity.repeat(5, 0), 1.0)[2:3], expected)


def test_gaps_take_the_farther_neighbour() -> None:
    gaps = np.array([[np.nan, 5.0, np.nan, np.inf, 3.0, np.nan]], np.float32)
    np.testing.assert_array_equal(_fill_gaps(gaps), [[5.0, 5.0, 3.0, 3.0, 3.0, 3.0]])


def test_too_few_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames must be at least 2, found 1"):
        write_demo_clip(tmp_path / "clip.mp4", frames=1)
