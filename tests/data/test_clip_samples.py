from typing import Any

import numpy as np
import pytest

from ivs_jax.data.clip_samples import ClipSamples, Gaps, pick_frames
from ivs_jax.data.crops import Windows
from ivs_jax.data.motion import Motion
from ivs_jax.data.sets import Clips, Stills
from tests.data.scenes import Moving, mixture, two_disks

SIZE = 64
SETS: dict[str, Any] = {"stills": (Stills("s"),), "clips": (Clips("c"),), "size": SIZE}
STILL = Motion(0, 0, 0, 0)


def _samples(settings, *, count=16, seed=0, clip=None, index=0):
    stills, clips = mixture(two_disks()), mixture(clip or Moving())
    rng = np.random.default_rng(seed)
    return [settings.draw(stills, clips, rng, index=index) for _ in range(count)]


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_shapes_and_values(real):
    for sample in _samples(ClipSamples(real=real, **SETS)):
        assert sample.frames.shape == (3, SIZE, SIZE, 3) and sample.frames.dtype == np.uint8
        assert sample.labels.shape == (3, SIZE, SIZE) and sample.labels.dtype == np.uint8
        assert (sample.objects, sample.objects.dtype, sample.seed.dtype) == (1, "int32", "uint32")
        assert set(np.unique(sample.labels)) <= {0, 1, 255}
        assert np.count_nonzero(sample.labels[0] == 1) >= 60


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_objects_keep_their_numbers_and_colours_through_the_clip(real):
    orders = set()
    for sample in _samples(ClipSamples(real=real, objects=(0.0, 1.0), **SETS)):
        assert sample.objects == 2 and {1, 2} <= set(np.unique(sample.labels[0]))
        colours = [
            [
                np.median(f[label == n], 0).argmax() if (label == n).sum() > 20 else -1
                for n in (1, 2)
            ]
            for f, label in zip(sample.frames, sample.labels, strict=True)
        ]
        for row in colours[1:]:
            assert all(a == b for a, b in zip(colours[0], row, strict=True) if b >= 0)
        orders.add(tuple(colours[0]))
    assert len(orders) == 2  # either of the two may be the first


def test_the_share_of_real_clips_and_of_counts_of_objects():
    settings = ClipSamples(real=0.25, objects=(3.0, 1.0), **SETS)
    samples = _samples(settings, count=240)
    # Both scenes have two objects, so every count can come from either.
    assert np.mean([s.objects == 2 for s in samples]) == pytest.approx(0.25, abs=0.08)
    green_or_magenta = [s.frames[0][..., 1].max() > 90 or _magenta(s) for s in samples]
    assert np.mean(green_or_magenta) == pytest.approx(0.25, abs=0.08)


def test_the_share_of_drawn_clips():
    """The scenes have two discs on black; drawn clips have no black ground that stays."""
    samples = _samples(ClipSamples(real=0.5, drawn=0.4, **SETS), count=120)
    black = [(s.frames[:, :4, :4].max() < 12) for s in samples]
    alone = _samples(ClipSamples(real=0.5, **SETS), count=120)
    gap = np.mean([(s.frames[:, :4, :4].max() < 12) for s in alone]) - np.mean(black)
    assert gap > 0.1
    drawn = _samples(ClipSamples(real=0.0, drawn=1.0, objects=(0.0, 1.0), **SETS), count=8)
    assert all(s.objects == 2 and {1, 2} <= set(np.unique(s.labels[0])) for s in drawn)


def _magenta(sample):
    frame = sample.frames[0].astype(int)
    return ((frame[..., 0] > 90) & (frame[..., 2] > 90)).sum() > 20


def test_clips_with_too_few_objects_leave_their_share_to_stills():
    settings = ClipSamples(real=0.9, objects=(0.0, 1.0), **SETS)
    for sample in _samples(settings, clip=Moving(leaves=-1)):
        assert sample.objects == 2 and not _magenta(sample)


def test_real_clips_move_in_both_directions():
    settings = ClipSamples(real=1.0, gaps=Gaps(first=3), clip_motion=STILL, **SETS)
    columns, steps = np.arange(SIZE), []
    for sample in _samples(settings, count=40, clip=Moving(leaves=-1)):
        # A window in pixels, so that the disk moves by its size over 8 a frame.
        if (sample.labels == 1).any((1, 2)).all():
            centres = [np.average(columns, weights=(m == 1).sum(0)) for m in sample.labels]
            steps.append(np.diff(centres))
    moved = np.array([s for s in steps if np.abs(s).min() > 0.5])
    assert len(moved) > 25 and (np.sign(moved[:, 0]) == np.sign(moved[:, 1])).mean() > 0.9
    assert (moved > 0).any() and (moved < 0).any()


def test_mirroring_applies_to_the_whole_sample():
    """The red disk is left of the blue one, except in mirrored samples; labels follow."""
    lefts = []
    for sample in _samples(ClipSamples(real=0.0, objects=(0.0, 1.0), **SETS)):
        frame, label = sample.frames[0], sample.labels[0]
        red, blue = (np.median(np.nonzero(frame[..., c] > 90)[1]) for c in (0, 2))
        first = 1 if np.median(frame[label == 1], 0).argmax() == 0 else 2
        by_label = [np.median(np.nonzero(label == n)[1]) for n in (first, 3 - first)]
        assert (red < blue) == (by_label[0] < by_label[1])
        lefts.append(bool(red < blue))
    assert 0.2 < np.mean(lefts) < 0.8


@pytest.mark.parametrize(("zoom", "low", "high"), [((1.2, 1.3), 0.6, 1.0), ((4.0, 4.1), 0.2, 0.3)])
def test_the_size_of_the_object_in_the_window_follows_the_zoom(zoom, low, high):
    windows = Windows(whole=0, zoom=zoom)
    settings = ClipSamples(
        real=1.0, clip_windows=windows, clip_motion=STILL, gaps=Gaps(first=1), least_area=20, **SETS
    )
    for sample in _samples(settings, clip=Moving(leaves=-1)):
        wide = (sample.labels[0] == 1).any(0).sum() / SIZE
        assert low < wide <= high


def test_the_same_generator_gives_the_same_sample():
    settings = ClipSamples(real=0.5, still_motion=Motion(bend=0.5), **SETS)
    for a, b in zip(_samples(settings, seed=4), _samples(settings, seed=4), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


# --- gaps -----------------------------------------------------------------------------------------


def _picks(gaps, *, annotated=range(60), length=3, index=0, count=200):
    rng = np.random.default_rng(0)
    return [pick_frames(tuple(annotated), length, gaps, index, rng) for _ in range(count)]


def test_gaps_grow_with_the_samples_of_the_run():
    gaps = Gaps(first=1, grow=5, every=100, most=12)
    for index, limit in ((0, 1), (99, 1), (100, 6), (200, 11), (300, 12), (10**6, 12)):
        assert gaps.limit(index) == limit
        steps = np.abs(np.diff(_picks(gaps, index=index)))
        assert set(np.unique(steps)) == set(range(1, limit + 1))


def test_picks_are_annotated_in_order_and_reversed_half_of_the_time():
    picks = np.diff(_picks(Gaps(first=8), annotated=range(3, 33), count=1000))
    assert ((picks > 0).all(1) | (picks < 0).all(1)).all()
    assert 0.45 < np.mean(picks[:, 0] < 0) < 0.55


def test_sparse_annotations_divide_the_gaps():
    picks = np.array(_picks(Gaps(first=10), annotated=range(0, 100, 5)))
    assert (picks % 5 == 0).all() and set(np.abs(np.diff(picks)).ravel()) == {5, 10}
    picks = np.array(_picks(Gaps(first=2), annotated=range(0, 100, 5)))
    assert set(np.abs(np.diff(picks)).ravel()) == {5}


def test_short_clips_shorten_the_gaps_and_too_short_ones_give_none():
    assert np.abs(np.diff(_picks(Gaps(first=20), annotated=range(7)))).max() == 3
    assert _picks(Gaps(first=20), annotated=(4, 9), count=1) == [None]
    assert sorted(_picks(Gaps(), annotated=(4, 9, 11), count=1)[0]) == [4, 9, 11]


def test_even_gaps_are_the_same_through_a_clip():
    steps = np.diff(_picks(Gaps(first=6, even=True), length=5, count=50))
    assert (steps == steps[:, :1]).all() and len(np.unique(steps)) > 5


@pytest.mark.parametrize(
    "options", [{"first": 0}, {"grow": -1}, {"every": 0}, {"first": 9, "most": 8}]
)
def test_gaps_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="expected 1 <= first <= most"):
        Gaps(**options)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"real": 1.5}, "real is 1.5, expected a share"),
        ({"real": 1.0, "clips": ()}, "a share without a set"),
        ({"real": 0.0, "stills": ()}, "1 of clips: a share without a set"),
        ({"objects": ()}, "expected weights of 1, 2, ... objects"),
        ({"objects": (0.0,)}, "expected weights of 1, 2, ... objects"),
        ({"length": 1}, "length is 1, expected at least 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ClipSamples(**(SETS | options))


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_sets_with_too_few_objects_are_named(real):
    with pytest.raises(ValueError, match="scene: no sample in 200 draws: too few or too small"):
        _samples(ClipSamples(real=real, objects=(0.0, 0.0, 1.0), **SETS), count=1)
