import numpy as np
import pytest

from ivs_jax.data.motion import GRID, Motion, thin_plate


def test_a_motion_of_nothing_is_the_identity():
    still = Motion(0, 0, 0, 0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(still.matrix(still.direction(rng), 1.0, rng), np.eye(3))
    assert still.bending(rng) is None


@pytest.mark.parametrize(
    ("motion", "measure", "most"),
    [
        (Motion(15, 0, 0, 0, noise=0), lambda m: np.rad2deg(np.arctan2(m[1, 0], m[0, 0])), 15),
        (Motion(0, 0, 0.2, 0, noise=0), lambda m: np.log(m[0, 0]), 0.2),
        (Motion(0, 0.1, 0, 0, noise=0), lambda m: m[0, 1], 0.1),
        (Motion(0, 0, 0, 0.3, noise=0), lambda m: m[1, 2], 0.3),
    ],
)
def test_ranges_are_kept_and_steps_go_on_in_one_direction(motion, measure, most):
    rng = np.random.default_rng(0)
    values = []
    for _ in range(100):
        direction = motion.direction(rng)
        one, two = (measure(motion.matrix(direction, step, rng)) for step in (1.0, 2.0))
        assert two == pytest.approx(2 * one, rel=1e-6)
        values.append(one)
    assert 0.9 * most < np.max(values) <= most and -most <= np.min(values) < -0.9 * most


def test_noise_is_anew_in_every_frame():
    motion, rng = Motion(noise=0.5), np.random.default_rng(0)
    direction = motion.direction(rng)
    assert np.ptp([motion.matrix(direction, 1.0, rng)[0, 0] for _ in range(9)]) > 0.01


def test_a_thin_plate_goes_through_its_points_and_keeps_affine_fields():
    rng = np.random.default_rng(0)
    points, moves = rng.uniform(-0.5, 0.5, (12, 2)), rng.normal(0, 0.1, (12, 2))
    np.testing.assert_allclose(thin_plate(points, moves, points), moves, atol=1e-9)
    matrix, at = rng.normal(size=(2, 2)), rng.uniform(-1, 1, (20, 2))
    np.testing.assert_allclose(thin_plate(points, points @ matrix, at), at @ matrix, atol=1e-9)


def test_bending_happens_as_often_and_as_much_as_asked():
    rng = np.random.default_rng(0)
    found = [Motion(bend=0.4, bend_size=0.02).bending(rng) for _ in range(300)]
    bent = np.array([b for b in found if b is not None])
    assert bent.shape[1:] == (GRID + 1, GRID + 1, 2)
    assert len(bent) / 300 == pytest.approx(0.4, abs=0.08)
    assert 0.01 < np.sqrt(np.median(bent**2)) < 0.04
