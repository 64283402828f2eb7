import numpy as np
import pytest
import scipy.ndimage

from ivs_jax.data.click_samples import click_batch
from ivs_jax.data.stills import Still

SIZE = 48


def _still():
    """Two instances, one bright and one middling, with void beside the first, on black."""
    labels = np.zeros((70, 90), np.uint8)
    labels[10:40, 8:44] = 255
    labels[12:40, 10:40], labels[30:65, 50:85] = 1, 2
    grey = np.choose(np.minimum(labels, 3), [0, 220, 90, 150]).astype(np.uint8)
    return Still(np.repeat(grey[..., None], 3, -1), labels, "s")


def _batch(seed=0, batch=40, **options):
    rng = np.random.default_rng(seed)
    return click_batch([_still()], np.ones(1), rng, batch=batch, size=SIZE, **options)


def test_shapes_and_values():
    batch = _batch(batch=6, capacity=12)
    assert batch.image.shape == (6, SIZE, SIZE, 3) and batch.image.dtype == np.uint8
    assert batch.truth.shape == (6, SIZE, SIZE) and batch.truth.dtype == np.int8
    assert batch.clicks.xy.shape == (6, 12, 2) and batch.clicks.label.shape == (6, 12)
    assert set(np.unique(_batch().truth)) == {-1, 0, 1}


def test_truth_lies_on_its_object_in_the_image():
    kinds = set()
    for image, truth in zip(*_batch()[:2], strict=True):
        grey = image.mean(-1)
        inside, outside = grey[truth == 1], grey[truth == 0]
        bright = np.median(inside)
        assert bright > 60  # neither object is black, whatever the change of light
        # One object: what is as bright as it lies in the truth. Borders are mixed by resampling.
        if np.ptp(np.percentile(inside, [10, 90])) < 30:
            kinds.add("one")
            assert np.mean(np.abs(outside - bright) < 15) < 0.06
        else:
            kinds.add("union")
            assert np.mean(outside < 40) > 0.9
    assert "one" in kinds


def test_unions_of_two_objects_occur():
    parts = [scipy.ndimage.label(t == 1)[1] for t in _batch(batch=80).truth]
    assert max(parts) == 2 and np.mean(parts) < 1.3


def test_clicks_agree_with_the_truth_and_avoid_void():
    _, truth, clicks = _batch()
    for sample, xy, label in zip(truth, clicks.xy, clicks.label, strict=True):
        columns, rows = xy[label >= 0].astype(int).T
        np.testing.assert_array_equal(sample[rows, columns], label[label >= 0])


def test_the_same_seed_gives_the_same_batch():
    for a, b in zip(_batch(3, 4)[:2], _batch(3, 4)[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (_batch(3, 4).image != _batch(4, 4).image).any()


def test_weights_choose_the_images():
    black = Still(np.zeros((70, 90, 3), np.uint8), _still().labels, "black")
    rng = np.random.default_rng(0)
    only = click_batch([_still(), black], np.array([0.0, 1.0]), rng, batch=8, size=SIZE)
    spread = only.image.reshape(8, -1).max(1) - only.image.reshape(8, -1).min(1)
    assert (spread <= 40).all()  # black stays nearly flat under any change of light
    assert np.ptp(_batch(batch=4).image) > 100


def test_windows_too_small_for_their_objects_end_with_an_error():
    with pytest.raises(ValueError, match="too few or too small"):
        click_batch([_still()], np.ones(1), np.random.default_rng(0), batch=1, size=4)
