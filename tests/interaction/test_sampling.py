import jax
import numpy as np
import pytest

from ivs_jax.interaction.sampling import error_clicks, sample_clicks
from ivs_jax.types import Clicks, make_clicks


def _labels():
    """Two objects with void around the first, and a thin third one."""
    labels = np.zeros((40, 50), np.uint8)
    labels[8:32, 10:30] = 255
    labels[11:29, 13:27] = 1
    labels[11:29, 30:42] = 2
    labels[35:38, 38:48] = 3
    return labels


def _values(clicks, labels):
    """Labels under the positive and under the negative clicks."""
    real = clicks.label >= 0
    columns, rows = clicks.xy[real].astype(int).T
    under, marks = labels[rows, columns], clicks.label[real]
    return under[marks == 1], under[marks == 0]


@pytest.mark.parametrize("objects", [(1,), (2,), (3,), (1, 2)])
def test_positives_lie_on_the_objects_and_negatives_outside_never_on_void(objects):
    labels, rng = _labels(), np.random.default_rng(0)
    counts, seen = set(), set()
    for _ in range(150):
        clicks = sample_clicks(labels, objects, rng, capacity=16)
        positive, negative = _values(clicks, labels)
        assert len(positive) and np.isin(positive, objects).all()
        assert not np.isin(negative, (*objects, 255)).any()
        counts.add((len(positive), len(negative)))
        seen |= set(negative.tolist())
    assert {n for n, _ in counts} >= {1, 2, 3} and {n for _, n in counts} >= {0, 1, 2}
    assert max(n for n, _ in counts) <= 6
    assert seen == {0, 1, 2, 3} - set(objects)  # the background and all other objects


def test_positives_keep_away_from_the_border_of_the_object():
    labels, rng = np.zeros((30, 30), np.uint8), np.random.default_rng(0)
    labels[5:25, 5:25] = 1
    for _ in range(50):
        clicks = sample_clicks(labels, (1,), rng, capacity=16)
        points = clicks.xy[clicks.label == 1]
        assert (points >= 8).all() and (points <= 21).all()


@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_the_first_click_is_the_innermost_point_as_often_as_asked(centre):
    labels, rng = np.zeros((31, 31), np.uint8), np.random.default_rng(0)
    labels[5:26, 5:26] = 1
    first = [sample_clicks(labels, (1,), rng, capacity=8, centre=centre).xy[0] for _ in range(30)]
    inner = np.mean([(p == 15).all() for p in first])
    assert inner == 1 if centre == 1 else inner < 0.2


def test_capacity_is_kept_and_padding_is_marked():
    labels = _labels()
    for seed in range(20):
        few, many = (
            sample_clicks(labels, (1,), np.random.default_rng(seed), capacity=c) for c in (2, 16)
        )
        assert few.xy.shape == (2, 2) and few.label.shape == (2,)
        assert many.xy.shape == (16, 2) and many.xy.dtype == np.float32
        np.testing.assert_array_equal(few.xy, many.xy[:2])
        np.testing.assert_array_equal(few.label, many.label[:2])
        real = many.label >= 0
        assert real[: real.sum()].all() and (many.xy[~real] == 0).all()


def test_the_same_generator_gives_the_same_clicks():
    first, second = (
        sample_clicks(_labels(), (1,), np.random.default_rng(7), capacity=16) for _ in range(2)
    )
    np.testing.assert_array_equal(first.xy, second.xy)
    np.testing.assert_array_equal(first.label, second.label)


def test_an_object_that_fills_the_image_gets_no_negatives():
    full, rng = np.ones((10, 10), np.uint8), np.random.default_rng(0)
    for _ in range(10):
        assert (sample_clicks(full, (1,), rng, capacity=16).label != 0).all()


def test_an_object_that_is_not_visible_is_refused():
    with pytest.raises(ValueError, match=r"objects \(9,\) have no pixel"):
        sample_clicks(_labels(), (9,), np.random.default_rng(0), capacity=8)


# --- error_clicks ---------------------------------------------------------------------------------


def _plain_depth(mask):
    """Largest square of odd side around each pixel that lies inside `mask`, as (side + 1) / 2."""
    height, width = mask.shape
    depth = np.zeros(mask.shape, int)
    for r, c in np.argwhere(mask):
        n = 0
        while (
            n < 13
            and min(r, c) >= n
            and r + n < height
            and c + n < width
            and mask[r - n : r + n + 1, c - n : c + n + 1].all()
        ):
            n += 1
        depth[r, c] = n
    return depth


def _batch():
    """Predictions against truths with: more missed, more wrong, no error, void errors only."""
    truth = np.zeros((5, 40, 30), np.int8)
    truth[:, 5:35, 4:16] = 1
    truth[3, :, 20:] = -1
    probability = np.where(truth == 1, 0.9, 0.1).astype(np.float32)
    probability[0, 5:25] = 0.2  # misses a large part
    probability[0, 36:39, 20:25] = 0.8  # and adds a small one
    probability[1, 5:8] = 0.3
    probability[1, 10:30, 18:29] = 0.7
    probability[3, :, 20:] = 0.9
    probability[4] = 1 - probability[4]  # all wrong
    clicks = make_clicks([(7.0, 30.0)], [1], capacity=3)
    batch = Clicks(np.repeat(clicks.xy[None], 5, 0), np.repeat(clicks.label[None], 5, 0))
    batch.label[4] = [1, 0, 1]  # no free slot
    return batch, probability, truth


correct = jax.jit(error_clicks)


def test_a_click_goes_to_the_deepest_error_with_its_polarity(key):
    clicks, probability, truth = _batch()
    drawn = [correct(clicks, probability, truth, k) for k in jax.random.split(key, 8)]
    for n, polarity in ((0, 1), (1, 0)):
        predicted = probability[n] > 0.5
        missed = _plain_depth((truth[n] == 1) & ~predicted)
        wrong = _plain_depth((truth[n] == 0) & predicted)
        deeper, other = (missed, wrong) if polarity else (wrong, missed)
        assert deeper.max() > other.max()
        places = set()
        for found in drawn:
            np.testing.assert_array_equal(found.label[n], [1, polarity, -1])
            np.testing.assert_array_equal(found.xy[n, 0], [7, 30])
            column, row = np.asarray(found.xy[n, 1]).astype(int)
            assert deeper[row, column] == deeper.max()
            places.add((row, column))
        assert len(places) > 1  # drawn, not always the first


@pytest.mark.parametrize(("sample", "why"), [(2, "no error"), (3, "void only"), (4, "no slot")])
def test_a_sample_without_error_or_free_slot_stays(sample, why, key):
    clicks, probability, truth = _batch()
    found = correct(clicks, probability, truth, key)
    np.testing.assert_array_equal(found.xy[sample], clicks.xy[sample], err_msg=why)
    np.testing.assert_array_equal(found.label[sample], clicks.label[sample], err_msg=why)


def test_depth_is_capped_so_that_large_errors_spread_their_clicks(key):
    truth = np.ones((1, 40, 40), np.int8)
    clicks = Clicks(np.zeros((1, 1, 2), np.float32), np.full((1, 1), -1, np.int32))
    drawn = [
        np.asarray(correct(clicks, np.zeros((1, 40, 40), np.float32), truth, k).xy[0, 0])
        for k in jax.random.split(key, 20)
    ]
    # 12 erosions leave the pixels 12..27; the innermost alone would be 19 and 20.
    assert 12 <= np.min(drawn) <= 13 and 26 <= np.max(drawn) <= 27
    assert np.ptp(np.array(drawn), 0).min() > 5
