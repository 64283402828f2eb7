"""Drawn clips: what is painted is what the labels say, and it moves as it should."""

import numpy as np
import pytest

from ivs_jax.data.drawn_clips import DrawnClips, Shape, bounced, filling, paint, soft_noise

SIZE, LENGTH = 64, 5


def test_shapes_and_values():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        frames, labels = DrawnClips().draw(rng, objects=2, length=LENGTH, size=SIZE)
        assert frames.shape == (LENGTH, SIZE, SIZE, 3) and frames.dtype == np.uint8
        assert labels.shape == (LENGTH, SIZE, SIZE) and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, 1, 2}


def test_a_seed_gives_one_clip_and_another_gives_another():
    drawn = [
        DrawnClips().draw(np.random.default_rng(seed), objects=1, length=2, size=SIZE)[0]
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.any(drawn[0] != drawn[2])


def test_a_disc_covers_the_pixels_within_its_radius():
    image, label = np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.uint8)
    colour = np.full((4, 4, 3), (10.0, 200.0, 30.0), np.float32)
    paint(image, label, Shape(12, np.zeros((0, 2)), 1.0, colour), np.array([30.0, 20.0]), 0.7, 3)
    y, x = np.mgrid[:SIZE, :SIZE]
    far = np.hypot(y - 30, x - 20)
    np.testing.assert_array_equal(label, np.where(far < 12, 3, 0))
    inside = image[far < 11.4]
    np.testing.assert_allclose(inside, np.broadcast_to(colour[0, 0], inside.shape))
    assert not image[far > 12.6].any()


def test_what_lies_outside_is_not_painted_and_later_shapes_cover_earlier_ones():
    image, label = np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.uint8)
    shape = Shape(10, np.zeros((0, 2)), 1.0, np.full((4, 4, 3), 50, np.float32))
    paint(image, label, shape, np.array([-40.0, 20.0]), 0, 1)
    assert not image.any() and not label.any()
    paint(image, label, shape, np.array([30.0, 30.0]), 0, 1)
    paint(image, label, shape, np.array([30.0, 36.0]), 0, 0)
    assert label[30, 22] == 1 and label[30, 36] == 0


def test_positions_move_on_from_the_borders():
    path = np.array([bounced(np.array([t]), 10)[0] for t in range(-25, 26)])
    assert path.min() >= 0 and path.max() <= 10
    np.testing.assert_array_equal(np.abs(np.diff(path)), 1)


def test_look_alikes_have_the_same_form_and_filling():
    """Where the shape has one colour, its look-alikes are found elsewhere by that colour."""
    found = {}
    for alike in (1.0, 0.0):
        settings = DrawnClips(look_alikes=alike, others=3, speed=0.0)
        found[alike] = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            frames, labels = settings.draw(rng, objects=1, length=2, size=SIZE)
            colour = np.median(frames[0][labels[0] == 1], axis=0)
            same = np.abs(frames[0] - colour).max(-1) <= 1
            plain = same[labels[0] == 1].mean() > 0.8
            found[alike] += plain and 20 < same[labels[0] == 0].sum() < SIZE * SIZE // 2
    assert found[1.0] > 2 * found[0.0]


def test_photographs_are_ground_and_filling():
    photograph = np.zeros((80, 100, 3), np.uint8)
    photograph[..., 1] = 255
    settings = DrawnClips(photograph=1.0, others=0)
    frames, labels = settings.draw(
        np.random.default_rng(0), objects=1, length=2, size=SIZE, photograph=photograph
    )
    ground = frames[0][labels[0] == 0]
    assert (np.abs(ground.astype(int) - (0, 255, 0)).max(-1) == 0).mean() > 0.9


def test_soft_noise_is_smooth_and_has_its_strength():
    noise = soft_noise(np.random.default_rng(0), 128, cells=8, strength=30)
    assert noise.shape == (128, 128, 3)
    assert np.std(noise) == pytest.approx(30, rel=0.5)
    assert np.abs(np.diff(noise, axis=0)).max() < 30


def test_every_kind_of_filling_is_drawn():
    kinds = set()
    for seed in range(30):
        pixels = filling(np.random.default_rng(seed), None, 32)
        assert pixels.shape == (32, 32, 3)
        kinds.add(len(np.unique(pixels.reshape(-1, 3), axis=0)))
    assert 1 in kinds and 2 in kinds and max(kinds) > 100
