import numpy as np
import pytest

from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.types import make_clicks

CLICKS = make_clicks([(4.0, 3.0), (10.0, 3.0)], [1, 0])


@pytest.mark.parametrize(
    ("encoding", "at_click", "three_away"),
    [("disks", 1, 0), ("brs", 1, 1 - 3 / 255), ("fbrs", 0, np.tanh(6 / 260))],
)
def test_encodings_at_a_click_and_beside_it(encoding, at_click, three_away):
    maps = np.asarray(encode_clicks(CLICKS, (8, 12), encoding, 2.0))
    assert maps.shape == (8, 12, 2) and maps.dtype == np.float32
    for channel, column in enumerate((4, 10)):
        np.testing.assert_allclose(maps[3, column, channel], at_click, atol=1e-6)
        np.testing.assert_allclose(maps[3, column - 3, channel], three_away, atol=1e-6)


def test_radius_is_that_of_the_disk():
    assert np.asarray(encode_clicks(CLICKS, (8, 12), "disks", 2.0)).sum() == 2 * 13 - 1
    assert np.asarray(encode_clicks(CLICKS, (8, 12), "disks", 0.5)).sum() == 2


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="'cones', expected disks, brs or fbrs"):
        encode_clicks(CLICKS, (8, 12), "cones", 2.0)
