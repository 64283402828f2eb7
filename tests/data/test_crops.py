import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from ivs_jax.data.crops import Windows, bounding_box, crop, drawn, warp, window_matrix


def _mask(rows, columns, size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def _boxes(windows, mask, *, count=200, size=48):
    rng = np.random.default_rng(0)
    return np.array([windows.draw(mask, rng, size) for _ in range(count)])


def test_bounding_box_is_in_pixel_edges():
    assert bounding_box(_mask((3, 4), (10, 25))) == (10, 3, 25, 4)


@pytest.mark.parametrize("zoom", [(1.1, 2.2), (1.1, 1.6), (2.0, 6.0)])
def test_zoomed_windows_are_squares_that_hold_the_object(zoom):
    boxes = _boxes(Windows(whole=0, zoom=zoom), _mask((20, 30), (30, 54)))
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, boxes[:, 3] - boxes[:, 1])
    assert (boxes[:, 0] <= 30).all() and (boxes[:, 2] >= 54).all()
    assert (boxes[:, 1] <= 20).all() and (boxes[:, 3] >= 30).all()
    most = min(24 * zoom[1], 1.2 * 80)
    assert 24 * zoom[0] <= sides.min() < 1.1 * 24 * zoom[0] and 0.85 * most < sides.max() <= most
    # Halving is as likely as doubling: half of the draws lie below the geometric mean.
    if most == 24 * zoom[1]:
        assert 0.35 < np.mean(sides < 24 * np.sqrt(zoom[0] * zoom[1])) < 0.65


def test_windows_of_the_whole_frame_have_about_its_size():
    boxes = _boxes(Windows(whole=1), _mask((10, 35), (30, 70)))
    sides = boxes[:, 2] - boxes[:, 0]
    assert 60 <= sides.min() < 62 and 82 < sides.max() <= 84
    assert (boxes[:, 0] >= -0.12 * sides).all() and (boxes[:, 2] <= 80 + 0.12 * sides).all()


def test_the_share_of_windows_of_the_whole_frame():
    boxes = _boxes(Windows(whole=0.3, zoom=(1.1, 1.2)), _mask((20, 30), (30, 50)), count=400)
    assert np.mean(boxes[:, 2] - boxes[:, 0] > 50) == pytest.approx(0.3, abs=0.07)


def test_windows_are_not_magnified_beyond_the_limit():
    windows = Windows(whole=0, zoom=(1.1, 2.0), magnify=1.5)
    sides = np.diff(_boxes(windows, _mask((20, 30), (30, 50)), size=48)[:, [0, 2]])
    assert sides.min() == pytest.approx(48 / 1.5) and sides.max() > 36


def test_rescaled_windows_ignore_the_object_but_show_it():
    mask = _mask((5, 55), (2, 78))
    mask[20:40, 20:60] = False  # its box is mostly empty
    boxes = _boxes(Windows(rescale=(1.2, 2.4)), mask, size=48)
    sides = boxes[:, 2] - boxes[:, 0]
    assert 20 <= sides.min() < 22 and 36 < sides.max() <= 40
    shown = [crop(mask.astype(np.uint8), tuple(box), 20).any() for box in boxes]
    assert all(shown) and len({tuple(box) for box in boxes}) == 200


def test_tiny_objects_get_a_window_of_some_pixels():
    x0, _, x1, _ = _boxes(Windows(whole=0, zoom=(1, 1)), _mask((5, 6), (5, 6)), count=1)[0]
    assert x1 - x0 == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom": (2.0, 1.0)}, r"zoom is \(2.0, 1.0\), expected 0 < low <= high"),
        ({"frame": (0.0, 1.0)}, "frame is"),
        ({"rescale": (-1.0, 1.0)}, "rescale is"),
        ({"whole": 1.5}, "whole is 1.5, expected a share"),
        ({"magnify": 0.0}, "magnify is 0.0"),
    ],
)
def test_windows_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Windows(**options)


def test_a_crop_is_a_slice_and_black_beyond_the_border():
    image = np.random.default_rng(0).integers(1, 255, (60, 80, 3)).astype(np.uint8)
    found = crop(image, (-4.0, 50.0, 16.0, 70.0), 20)
    np.testing.assert_array_equal(found[:10, 4:], image[50:, :16])
    assert not found[10:].any() and not found[:, :4].any()


def test_labels_are_never_mixed():
    labels = np.random.default_rng(0).choice([0, 3, 200, 255], (60, 80)).astype(np.uint8)
    found = crop(labels, (3.0, 3.0, 50.0, 50.0), 31)
    assert found.shape == (31, 31) and set(np.unique(found)) <= {0, 3, 200, 255}


def test_a_degenerate_box_still_gives_pixels():
    assert crop(np.ones((9, 9), np.uint8), (4.0, 4.0, 4.2, 4.2), 5).all()


# --- warp -----------------------------------------------------------------------------------------


def _smooth(size=(60, 80)):
    y, x = np.mgrid[: size[0], : size[1]]
    planes = 128 + 60 * np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1)
    return planes.astype(np.uint8)


def _turned(box, angle):
    c, s = np.cos(angle), np.sin(angle)
    return window_matrix(box) @ np.array([[c, -s, 0.05], [s, c, 0], [0, 0, 1]])


def _plain_warp(pixels, matrix, size, offset=0.0):
    """Spline-interpolated samples at the centres of the window's pixels; NaN outside."""
    row, column = np.mgrid[:size, :size] + 0.5
    unit = np.stack([column / size - 0.5, row / size - 0.5, np.ones((size, size))]) + offset
    x, y = np.tensordot(matrix[:2], unit, 1) - 0.5
    planes = [map_coordinates(p, [y, x], order=1, cval=np.nan) for p in np.moveaxis(pixels, -1, 0)]
    return np.stack(planes, -1)


@pytest.mark.parametrize("size", [20, 70])
def test_a_warp_samples_the_window(size):
    image, matrix = _smooth(), _turned((15.0, 10.0, 55.0, 50.0), 0.3)
    expected = _plain_warp(image.astype(float), matrix, size)
    found = warp(image, matrix, size)
    assert found.shape == (size, size, 3) and found.dtype == np.uint8
    assert np.nanmean(np.abs(found - expected)) < 2 and np.isfinite(expected).mean() > 0.95


def test_labels_are_warped_like_their_image_and_never_mixed():
    labels = np.random.default_rng(0).choice([0, 7, 255], (6, 8)).astype(np.uint8)
    labels = labels.repeat(10, 0).repeat(10, 1)
    matrix = _turned((5.0, 5.0, 55.0, 55.0), -0.4)
    found = warp(labels, matrix, 40)
    assert set(np.unique(found)) == {0, 7, 255}
    image = warp(np.repeat(labels[..., None], 3, -1), matrix, 40)[..., 0]
    assert np.mean(image == found) > 0.75 and np.median(np.abs(image.astype(int) - found)) == 0


def test_what_shrinks_is_averaged_first():
    noise = np.random.default_rng(0).integers(0, 2, (128, 128, 1)) * np.full(3, 255)
    small = warp(noise.astype(np.uint8), window_matrix((0.0, 0.0, 128.0, 128.0)), 16)
    assert np.abs(small.astype(int) - 128).max() < 80  # single pixels would be 0 or 255
    assert warp(np.full((128, 128, 3), 9, np.uint8), window_matrix((0, 0, 128, 128)), 16).max() == 9


def test_bending_moves_the_samples_and_none_changes_nothing():
    image, box = _smooth(), (15.0, 10.0, 55.0, 50.0)
    matrix, size = window_matrix(box), 40
    straight = warp(image, matrix, size)
    flat = warp(image, matrix, size, bend=np.zeros((9, 9, 2)))
    assert np.abs(flat.astype(int) - straight).max() <= 2
    shifted = warp(image, matrix, size, bend=np.full((9, 9, 2), 0.1))  # all corners: a shift
    expected = _plain_warp(
        image.astype(float), matrix, size, np.array([0.1, 0.1, 0])[:, None, None]
    )
    assert np.nanmean(np.abs(shifted - expected)) < 2


# --- drawn ----------------------------------------------------------------------------------------


def test_drawing_skips_rejected_samples_and_ends_when_all_are():
    source = iter(range(1, 100))
    assert drawn(lambda: n if (n := next(source)) % 3 == 0 else None, ("s",)) == 3
    with pytest.raises(ValueError, match="voc, coco: no sample in 200 draws: too few or too small"):
        drawn(lambda: None, ("voc", "coco"))
