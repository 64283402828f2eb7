import numpy as np
import pytest

from ivs_jax.data.davis import Clip
from ivs_jax.data.pairs import clip_batch
from ivs_jax.data.stills import Still

SIZE = 64


def _blob(size, centre, radius):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def _still():
    """A red and a blue disk on black, and some void; labels and colours are cut alike."""
    labels = np.zeros((100, 120), np.uint8)
    labels[:6] = 255
    labels[_blob(labels.shape, (40, 35), 22)] = 3
    labels[_blob(labels.shape, (60, 85), 20)] = 9
    image = np.zeros((100, 120, 3), np.uint8)
    image[labels == 3], image[labels == 9] = (200, 0, 0), (0, 0, 200)
    return Still(image, labels, "s")


def _clip(frames=8):
    """A white disk that moves right by 4 pixels a frame."""
    masks = np.stack([_blob((90, 120), (45, 30 + 4 * t), 16) for t in range(frames)])
    images = np.where(masks[..., None], np.array([230, 0, 230]), 0)
    return Clip("c", images.astype(np.uint8), masks.astype(np.uint8))


def _batch(seed=0, *, batch=12, objects=1, real=0.0, max_gap=2, clips=None):
    return clip_batch(
        [_still()],
        np.ones(1),
        clips or [_clip()],
        np.random.default_rng(seed),
        batch=batch,
        size=SIZE,
        objects=objects,
        real=real,
        max_gap=max_gap,
    )


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_shapes_and_values(real):
    batch = _batch(real=real)
    assert batch.frames.shape == (12, 3, SIZE, SIZE, 3) and batch.frames.dtype == np.uint8
    assert batch.labels.shape == (12, 3, SIZE, SIZE) and batch.labels.dtype == np.uint8
    assert set(np.unique(batch.labels)) == ({0, 1} if real else {0, 1, 255})
    assert (np.count_nonzero(batch.labels[:, 0] == 1, axis=(1, 2)) >= 60).all()


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_labels_stay_on_their_object_in_every_frame(real):
    batch = _batch(real=real)
    for frames, labels in zip(batch.frames, batch.labels, strict=True):
        # The chosen disk is red, blue or magenta: its colour is that of the first frame's label.
        colour = np.median(frames[0][labels[0] == 1], 0)
        for frame, label in zip(frames, labels, strict=True):
            like = np.abs(frame - colour).max(-1) < 0.5 * colour.max()
            counted = label != 255
            assert np.mean((like == (label == 1))[counted]) > 0.97


def test_two_objects_keep_their_numbers_through_the_clip():
    orders = set()
    for frames, labels in zip(*_batch(objects=2, batch=16), strict=True):
        assert {1, 2} <= set(np.unique(labels[0]))
        names = [
            [int(np.median(frame[label == n], 0).argmax()) for n in (1, 2) if (label == n).any()]
            for frame, label in zip(frames, labels, strict=True)
        ]
        assert all(row == names[0] for row in names if len(row) == 2)
        assert sorted(names[0]) == [0, 2]  # one red, one blue
        orders.add(tuple(names[0]))
    assert len(orders) == 2  # and either may be the first


def test_frames_of_a_pseudo_clip_differ_more_and_more():
    labels = _batch(batch=40).labels == 1

    def overlap(a, b):
        return np.mean([(x & y).sum() / max((x | y).sum(), 1) for x, y in zip(a, b, strict=True)])

    near, far = overlap(labels[:, 0], labels[:, 1]), overlap(labels[:, 0], labels[:, 2])
    assert 0.2 < far < near < 0.95


def test_real_clips_move_in_both_directions_and_stay_within_the_sequence():
    clip = _clip()
    labels = _batch(batch=40, real=1.0, max_gap=3, clips=[clip]).labels
    columns = np.arange(SIZE)
    centres = [
        [np.average(columns, weights=m.sum(0)) for m in sample]
        for sample in labels
        if sample.any((1, 2)).all()
    ]
    steps = np.diff(centres, axis=1)
    assert len(steps) > 30
    moved = steps[np.abs(steps).min(1) > 0.5]
    assert (np.sign(moved[:, 0]) == np.sign(moved[:, 1])).mean() > 0.9  # one direction a clip
    assert (moved > 0).any() and (moved < 0).any()


def test_a_sequence_shorter_than_the_gaps_repeats_its_last_frame():
    labels = _batch(real=1.0, max_gap=9, clips=[_clip(frames=2)], batch=12).labels
    for first, second, third in labels:
        # Two of the three are the last frame, in the same window.
        assert (second == third).all() != (first == second).all()


def test_flips_apply_to_the_whole_sample():
    """The red disk is left of the blue one, except in mirrored samples; labels follow."""
    lefts = []
    for frames, labels in zip(*_batch(objects=2, batch=16), strict=True):
        red_column, blue_column = (np.median(np.nonzero(frames[0, ..., c] > 90)[1]) for c in (0, 2))
        red_left = red_column < blue_column
        red = 1 if np.median(frames[0][labels[0] == 1], 0).argmax() == 0 else 2
        by_label = [np.median(np.nonzero(labels[0] == n)[1]) for n in (red, 3 - red)]
        assert red_left == (by_label[0] < by_label[1])
        lefts.append(bool(red_left))
    assert 0.2 < np.mean(lefts) < 0.8


def test_too_few_objects_end_with_an_error():
    with pytest.raises(ValueError, match="0 of 1 samples"):
        _batch(objects=3, batch=1)
