"""The distance transform on the device against SciPy's."""

import jax
import numpy as np
import pytest

from ivs_jax.ops import distance
from ivs_jax.ops.edt import distance_transform, squared_distances

SHAPES = [(1, 1), (1, 9), (23, 1), (2, 31), (24, 25), (64, 37)]
transform = jax.jit(distance_transform)


def check(mask):
    """Squared distances are whole numbers, so equality is exact."""
    expected, found = distance.distance_transform(mask), transform(mask)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.rint(np.square(found)), np.rint(expected**2))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_scipy_on_random_masks(shape):
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.7, 0.9, 0.98, 0.995):  # the higher, the deeper
        for _ in range(5):
            check(rng.random(shape) < share)


@pytest.mark.parametrize("shape", SHAPES)
def test_full_empty_and_single_pixels(shape):
    check(np.zeros(shape, bool))
    check(np.ones(shape, bool))
    for hole in (0, np.prod(shape) // 2, np.prod(shape) - 1):
        mask = np.ones(shape, bool)
        mask.flat[hole] = False
        check(mask)
        check(~mask)


def test_thin_and_round_shapes():
    y, x = np.mgrid[:64, :37]
    for mask in (
        np.abs(x - y) < 2,
        (x - 20) ** 2 + (y - 33) ** 2 < 15**2,
        (x % 6 < 5) & (y % 9 > 0),
        x == 30,
        y == 0,
    ):
        check(mask)


def test_leading_axes_and_vmap_are_masks_of_their_own():
    rng = np.random.default_rng(0)
    masks = rng.random((3, 2, 12, 17)) < rng.choice([0.1, 0.8, 0.99], (3, 2, 1, 1))
    expected = [[np.rint(distance.distance_transform(m) ** 2) for m in pair] for pair in masks]
    for function in (
        squared_distances,
        jax.vmap(squared_distances),
        jax.vmap(jax.vmap(squared_distances)),
    ):
        np.testing.assert_array_equal(jax.jit(function)(masks), expected)


def test_memory_stays_within_a_few_masks():
    mask = np.ones((256, 320), bool)
    program = jax.jit(squared_distances).lower(mask).compile()
    memory = program.memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 8 * 4 * mask.size
