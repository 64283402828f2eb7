"""Videos from memory: arrays, lists, generators and Pillow images."""

import numpy as np
import pytest
from PIL import Image

from ivs_jax.io import VideoError, open_video

SIZE = (6, 8)


def frames(count=3):
    return np.random.default_rng(0).integers(0, 255, (count, *SIZE, 3), dtype=np.uint8)


def pictures(count=3):
    return [Image.fromarray(frame) for frame in frames(count)]


@pytest.mark.parametrize(
    "video",
    [
        frames(),
        list(frames()),
        tuple(frames()),
        iter(frames()),
        (frame for frame in frames()),
        pictures(),
        iter(pictures()),
    ],
    ids=["array", "list", "tuple", "iterator", "generator", "pictures", "picture_iterator"],
)
def test_every_kind_gives_the_same_frames(video):
    opened = open_video(video)
    assert len(opened) == 3 and opened.size == SIZE and opened.fps is None
    assert opened.names == ["00000", "00001", "00002"]
    np.testing.assert_array_equal(np.stack(list(opened)), frames())
    np.testing.assert_array_equal(opened[-1], frames()[2])
    with pytest.raises(IndexError, match=r"frame 3 asked for, expected 0\.\.2"):
        opened[3]
    assert open_video(opened) is opened


def test_one_picture_and_its_orientation():
    assert len(open_video(pictures(1)[0])) == 1
    turned = Image.fromarray(frames(1)[0])
    turned.getexif()[0x0112] = 6  # a quarter turn
    opened = open_video([turned])
    assert opened.size == SIZE[::-1]
    np.testing.assert_array_equal(opened[0], np.rot90(frames(1)[0], -1))


def test_arrays_of_the_caller_stay_writable_and_a_reused_buffer_is_no_trap():
    array = frames()
    with pytest.raises(ValueError, match="read-only"):
        open_video(array)[0][:] = 0
    array[0] = 1  # still the caller's

    def camera():
        buffer = np.empty((*SIZE, 3), np.uint8)
        for frame in frames():
            buffer[:] = frame
            yield buffer

    np.testing.assert_array_equal(np.stack(list(open_video(camera()))), frames())


@pytest.mark.parametrize(
    "video, message",
    [
        (np.zeros((0, *SIZE, 3), np.uint8), "found no frame, expected an array"),
        ([], "found no frame"),
        (iter(()), "found no frame"),
        (frames()[0], r"video is uint8 \[6, 8, 3\], expected an array \[T, H, W, 3\]"),
        (frames().astype(np.float32), r"frame 0 is float32 \[6, 8, 3\], expected uint8"),
        (frames()[..., :1], r"frame 0 is uint8 \[6, 8, 1\]"),
        ([frames()[0], frames()[0, :, :, 0]], r"frame 1 is uint8 \[6, 8\]"),
        ([*frames(), frames()[0, :4]], r"frame 3 is 8x4 \(width x height\), but frame 0 is 8x6"),
        ([frames()[0], pictures()[0].resize((5, 5))], "frame 1 is 5x5"),
        (None, "video is a NoneType, expected a path"),
        (7, "video is a int, expected a path"),
        (b"clip.mp4", "video is a bytes, expected a path"),
        (["a.png"], r"frame 0 is <U5 \[\]"),
    ],
)
def test_errors_name_what_was_found(video, message):
    with pytest.raises(VideoError, match=message):
        open_video(video)
