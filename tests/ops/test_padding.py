import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.ops.padding import object_bucket, pad_image, padded_sides, unpad_image


@pytest.mark.parametrize(
    ("size", "padded"), [((1, 16), (16, 16)), ((17, 32), (32, 32)), ((480, 854), (480, 864))]
)
def test_padded_sides_are_the_next_multiples(size, padded):
    assert padded_sides(size[0], size[1], 16) == padded


@pytest.mark.parametrize("size", [(16, 16), (13, 10), (1, 15)])
def test_unpadding_undoes_padding(size):
    x = np.random.default_rng(0).uniform(1, 2, (2, *size, 3)).astype(np.float32)
    padded = pad_image(jnp.asarray(x), (16, 16))
    assert padded.shape == (2, 16, 16, 3)
    np.testing.assert_array_equal(unpad_image(padded, size), x)
    np.testing.assert_allclose(padded.sum(), x.sum(), rtol=1e-5)


def test_the_smaller_half_goes_to_the_top_and_left():
    padded = np.asarray(pad_image(jnp.ones((5, 6, 1)), (8, 9)))[..., 0]
    assert np.argwhere(padded).min(0).tolist() == [1, 1]
    assert np.argwhere(padded).max(0).tolist() == [5, 6]


def test_an_image_larger_than_the_size_is_refused():
    with pytest.raises(ValueError, match="5 x 17 does not fit"):
        pad_image(jnp.ones((5, 17, 1)), (16, 16))


@pytest.mark.parametrize(("count", "bucket"), [(1, 1), (2, 2), (3, 4), (5, 8), (254, 256)])
def test_object_bucket(count, bucket):
    assert object_bucket(count) == bucket


def test_too_many_objects_are_refused():
    with pytest.raises(ValueError, match="at most 256 objects.*257"):
        object_bucket(257)
