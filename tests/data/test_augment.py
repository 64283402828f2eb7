from functools import partial

import jax
import numpy as np
import pytest

from ivs_jax.data.augment import Colour, augment
from ivs_jax.data.click_samples import ClickBatch
from ivs_jax.data.clip_samples import ClipBatch
from ivs_jax.types import Clicks

NONE = Colour(0, 0, 0, 0, frame=0)


def _stills(count=6, size=(8, 9)):
    image = np.random.default_rng(0).integers(60, 190, (1, *size, 3)).astype(np.uint8)
    clicks = Clicks(np.zeros((count, 2, 2), np.float32), np.zeros((count, 2), np.int32))
    truth = np.zeros((count, *size), np.int8)
    return ClickBatch(image.repeat(count, 0), truth, clicks, np.arange(count, dtype=np.uint32))


def _clips(count=3, frames=4):
    one = _stills(count).image
    labels = np.zeros((count, frames, 8, 9), np.uint8)
    objects, seed = np.ones(count, np.int32), np.arange(count, dtype=np.uint32)
    return ClipBatch(one[:, None].repeat(frames, 1), labels, objects, seed)


def _apply(batch, colour):
    return jax.tree.map(np.asarray, jax.jit(partial(augment, colour=colour))(batch))


def test_only_pixels_change_and_little():
    batch = _stills(30)
    found = _apply(batch, Colour())
    assert found.image.dtype == np.uint8 and type(found) is ClickBatch
    for name in ("truth", "seed"):
        np.testing.assert_array_equal(getattr(found, name), getattr(batch, name))
    means = found.image.mean((1, 2, 3))
    assert np.ptp(means) > 10 and abs(means.mean() - batch.image.mean()) < 15


@pytest.mark.parametrize("batch", [_stills(), _clips()], ids=["stills", "clips"])
def test_no_change_is_none(batch):
    name = "image" if isinstance(batch, ClickBatch) else "frames"
    np.testing.assert_array_equal(getattr(_apply(batch, NONE), name), getattr(batch, name))


def test_a_sample_follows_from_its_seed_alone():
    batch = _stills()
    whole = _apply(batch, Colour(sharpen=(-0.5, 0.5), grey=0.5)).image
    for part in (slice(0, 3), slice(3, 6)):
        cut = jax.tree.map(lambda x, part=part: x[part], batch)
        np.testing.assert_array_equal(
            _apply(cut, Colour(sharpen=(-0.5, 0.5), grey=0.5)).image, whole[part]
        )
    assert len({image.tobytes() for image in whole}) == len(whole)


def test_frames_of_a_clip_share_a_change_and_have_a_small_one_each():
    same = _apply(_clips(), Colour(frame=0.0)).frames
    np.testing.assert_array_equal(same, same[:, :1].repeat(4, 1))
    own = _apply(_clips(), Colour(frame=0.2)).frames.astype(float)
    within = np.abs(own - own.mean(1, keepdims=True)).mean()
    between = np.abs(own.mean(1) - own.mean((0, 1))).mean()
    assert 0 < within < 0.5 * between


@pytest.mark.parametrize(
    ("colour", "unchanged"),
    [
        (Colour(0.25, 0, 0, 0, frame=0), lambda x: x / x.mean()),
        (Colour(0, 0.25, 0, 0, frame=0), lambda x: (x - 127.5) / np.std(x - 127.5)),
        (Colour(0, 0, 0.25, 0, frame=0), lambda x: x.mean(-1)),
        (Colour(0, 0, 0, 0.08, frame=0), lambda x: x / x.mean((0, 1))),
    ],
    ids=["gain", "contrast", "saturation", "balance"],
)
def test_each_range_changes_only_its_own(colour, unchanged):
    batch = _stills()
    for image, before in zip(_apply(batch, colour).image, batch.image, strict=True):
        assert (image != before).any()
        np.testing.assert_allclose(
            unchanged(image * 1.0), unchanged(before * 1.0), atol=0.7, rtol=0.02
        )


def test_grey_samples_come_as_often_as_asked():
    found = _apply(_stills(200), Colour(0, 0, 0, 0, grey=0.3, frame=0)).image
    grey = (np.ptp(found.astype(int), -1) == 0).all((1, 2))
    assert np.mean(grey) == pytest.approx(0.3, abs=0.1)


def test_sharpening_adds_what_a_blur_takes():
    batch = _stills(1, (40, 40))
    image = batch.image[0].astype(float)
    rows = np.pad(image, ((1, 1), (0, 0), (0, 0)), "edge")
    blur = (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 4
    columns = np.pad(blur, ((0, 0), (1, 1), (0, 0)), "edge")
    blur = (columns[:, :-2] + 2 * columns[:, 1:-1] + columns[:, 2:]) / 4
    for amount in (-1.0, 0.5):
        colour = Colour(0, 0, 0, 0, sharpen=(amount, amount), frame=0)
        expected = np.clip(image + amount * (image - blur), 0, 255)
        assert np.abs(_apply(batch, colour).image[0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gain": 1.5}, "gain is 1.5, expected 0 to 1"), ({"sharpen": (-2.0, 0.0)}, "sharpen is")],
)
def test_ranges_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Colour(**options)
