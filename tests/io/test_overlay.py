"""Overlays, overlay videos and contact sheets."""

import numpy as np
import pytest

from ivs_jax.io import OverlayWriter, contact_sheet, davis_palette, open_video, overlay
from ivs_jax.types import make_clicks


@pytest.fixture
def image() -> np.ndarray:
    return np.full((60, 80, 3), 100, np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 20:50] = 2
    return labels


def test_fill_contour_and_background(image, labels):
    found = overlay(image, labels, alpha=0.25)
    assert found.dtype == np.uint8 and found.shape == image.shape
    fill = 0.75 * 100 + 0.25 * davis_palette()[2].astype(float)
    np.testing.assert_array_equal(found[25, 30], np.rint(fill))
    np.testing.assert_array_equal(found[labels == 0], image[labels == 0])
    outline = np.rint(davis_palette()[2] * 0.5 + 127.5)
    for y, x in [(10, 20), (39, 30), (20, 49)]:
        np.testing.assert_array_equal(found[y, x], outline)
    assert (image == 100).all()  # the input is not painted on


def test_clicks_are_dots(image, labels):
    clicks = make_clicks([(30, 25), (70, 50), (0, 0)], [1, 0, 1])
    found = overlay(image, labels, clicks=clicks)
    assert found[25, 30].argmax() == 1 and found[50, 70].argmax() == 0
    assert found[25, 30 + 4].tolist() == [255, 255, 255]
    assert found[0, 0].argmax() == 1  # at the border
    assert found[59, 0].tolist() == [100, 100, 100]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((5, 6, 3), np.uint8), np.zeros((5, 7), np.uint8)), "image is uint8"),
        ((np.zeros((5, 6, 3)), np.zeros((5, 6), np.uint8)), "image is float64"),
        ((np.zeros((5, 6, 3), np.uint8), np.zeros((5, 6))), "labels are float64"),
    ],
)
def test_wrong_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        overlay(*arguments)
    with pytest.raises(ValueError, match="alpha is 2"):
        overlay(np.zeros((5, 6, 3), np.uint8), np.zeros((5, 6), np.uint8), alpha=2)


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_writer_keeps_every_frame(tmp_path, size):
    path = tmp_path / "out" / "overlay.mp4"
    with OverlayWriter(path, 30000 / 1001, size) as writer:
        for i in range(37):
            writer.write(np.full((*size, 3), 6 * i, np.uint8))
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]
    with open_video(path) as video:
        assert len(video) == 37 and video.size == (48, 64)
        assert video.fps == pytest.approx(30000 / 1001, abs=1e-9)
        for i in (0, 18, 36):
            assert abs(float(video[i].mean()) - 6 * i) < 4


def test_writer_leaves_nothing_behind_on_errors(tmp_path):
    path = tmp_path / "o.mp4"
    with pytest.raises(RuntimeError), OverlayWriter(path, 25, (48, 64)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        raise RuntimeError
    with pytest.raises(ValueError, match="frame 0 is uint8.47, 64, 3., expected uint8 .48, 64, 3."):
        with OverlayWriter(path, 25, (48, 64)) as writer:
            writer.write(np.zeros((47, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="no frame was written"), OverlayWriter(path, 25, (48, 64)):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="suffix '.gif'"):
        OverlayWriter(tmp_path / "o.gif", 25, (48, 64))
    with pytest.raises(ValueError, match="fps is 0"):
        OverlayWriter(path, 0, (48, 64))


def test_writer_without_frame_rate(tmp_path):
    with OverlayWriter(tmp_path / "o.mp4", None, (48, 64)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    with open_video(tmp_path / "o.mp4") as video:
        assert len(video) == 1 and video.fps == 25


def test_contact_sheet(image):
    images = [np.full_like(image, 50 * i) for i in range(5)]
    sheet = contact_sheet(images, [f"frame {i}" for i in range(5)], columns=2, width=100)
    assert sheet.size == (6 + 2 * 106, 6 + 3 * (75 + 16 + 6))
    middles = [sheet.getpixel((56 + i % 2 * 106, 60 + i // 2 * 97)) for i in range(5)]
    assert middles == [(50 * i,) * 3 for i in range(5)]
    with pytest.raises(ValueError, match="5 images and 1 titles"):
        contact_sheet(images, ["a"], columns=2)
