import numpy as np
import pytest

from ivs_jax.data.crops import bounding_box, crop, drawn, jitter, random_window


def _mask(rows, columns, size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_bounding_box_is_in_pixel_edges():
    assert bounding_box(_mask((3, 4), (10, 25))) == (10, 3, 25, 4)


def test_zoomed_windows_are_squares_that_hold_the_object():
    mask, rng = _mask((10, 35), (30, 70)), np.random.default_rng(0)
    sides = []
    for _ in range(200):
        x0, y0, x1, y1 = random_window(mask, rng, whole=0.0, zoom=(1.1, 2.2))
        assert x1 - x0 == pytest.approx(y1 - y0)
        assert x0 <= 30 and y0 <= 10 and x1 >= 70 and y1 >= 35
        sides.append(x1 - x0)
    assert 44 <= min(sides) < 50 and 80 < max(sides) <= 88


def test_windows_of_the_whole_image_have_about_its_size():
    mask, rng = _mask((10, 35), (30, 70)), np.random.default_rng(0)
    boxes = np.array([random_window(mask, rng, whole=1.0, zoom=(1, 2)) for _ in range(200)])
    sides = boxes[:, 2] - boxes[:, 0]
    assert 60 <= sides.min() < 62 and 82 < sides.max() <= 84
    assert np.abs((boxes[:, 0] + boxes[:, 2]) / 2 - 40).max() <= 10


def test_tiny_objects_get_a_window_of_some_pixels():
    x0, _, x1, _ = random_window(
        _mask((5, 6), (5, 6)), np.random.default_rng(0), whole=0.0, zoom=(1, 1)
    )
    assert x1 - x0 == 24


def test_a_crop_is_a_slice_and_black_beyond_the_border():
    image = np.random.default_rng(0).integers(1, 255, (60, 80, 3)).astype(np.uint8)
    found = crop(image, (-4.0, 50.0, 16.0, 70.0), 20)
    np.testing.assert_array_equal(found[:10, 4:], image[50:, :16])
    assert not found[10:].any() and not found[:, :4].any()


def test_flip_mirrors_image_and_labels_alike():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)
    for pixels in (image, image[..., 0]):
        box = (5.0, 5.0, 55.0, 55.0)
        flipped = crop(pixels, box, 30, flip=True)
        np.testing.assert_array_equal(flipped, crop(pixels, box, 30)[:, ::-1])


def test_labels_are_never_mixed():
    labels = np.random.default_rng(0).choice([0, 3, 200, 255], (60, 80)).astype(np.uint8)
    found = crop(labels, (3.0, 3.0, 50.0, 50.0), 31)
    assert found.shape == (31, 31) and set(np.unique(found)) <= {0, 3, 200, 255}


def test_a_degenerate_box_still_gives_pixels():
    assert crop(np.ones((9, 9), np.uint8), (4.0, 4.0, 4.2, 4.2), 5).all()


def test_jitter_changes_colours_little_and_reproducibly():
    image = np.random.default_rng(0).integers(60, 190, (8, 8, 3)).astype(np.uint8)
    first, second = (jitter(image, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.uint8 and (first != image).any()
    means = [jitter(image, np.random.default_rng(s)).mean() for s in range(30)]
    assert np.ptp(means) > 10 and abs(np.mean(means) - image.mean()) < 15
    unchanged = jitter(image, np.random.default_rng(3), strength=0.0)
    assert np.abs(unchanged.astype(int) - image).max() <= 1


def test_drawing_skips_rejected_samples_and_ends_when_all_are():
    source = iter(range(100))
    assert drawn(lambda: n if (n := next(source)) % 3 == 0 else None, 4) == [0, 3, 6, 9]
    with pytest.raises(ValueError, match="0 of 2 samples in 2000 draws"):
        drawn(lambda: None, 2)
