from typing import Any

import jax
import numpy as np
import pytest
import scipy.ndimage

from ivs_jax.interaction.sampling import error_clicks, innermost, sample_clicks, xu_points
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
        clicks = sample_clicks(labels, objects, rng, capacity=24, decay=0.5, most=5)
        positive, negative = _values(clicks, labels)
        assert len(positive) and np.isin(positive, objects).all()
        assert not np.isin(negative, (*objects, 255)).any()
        counts.add((len(positive), len(negative)))
        seen |= set(negative.tolist())
    least = len(objects)
    assert {n for n, _ in counts} >= {least, least + 1, least + 2} and {n for _, n in counts} >= {
        0,
        1,
        2,
    }
    assert max(n for n, _ in counts) <= 6 and max(n for _, n in counts) <= 5
    assert seen == {0, 1, 2, 3} - set(objects)  # the background and all other objects


def test_positives_keep_away_from_the_border_of_the_object():
    labels, rng = np.zeros((30, 30), np.uint8), np.random.default_rng(0)
    labels[5:25, 5:25] = 1
    apart = []
    for _ in range(200):
        clicks = sample_clicks(labels, (1,), rng, capacity=16)
        points = clicks.xy[clicks.label == 1]
        apart.append((points >= 8).all() and (points <= 21).all())
    assert 0.85 < np.mean(apart) < 1  # 0.9, and by chance in the others


def test_all_of_several_objects_are_clicked():
    labels, rng = _labels(), np.random.default_rng(0)
    for _ in range(50):
        positive, _ = _values(sample_clicks(labels, (1, 2, 3), rng, capacity=24), labels)
        assert set(positive) == {1, 2, 3}


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


def test_negatives_in_the_ring_are_near_the_object():
    labels, rng = np.zeros((60, 60), np.uint8), np.random.default_rng(0)
    labels[20:40, 20:40] = 1  # a ring of 2 pixels
    near = []
    for _ in range(200):
        clicks = sample_clicks(labels, (1,), rng, capacity=24)
        points = clicks.xy[clicks.label == 0]
        near += [((points >= 18) & (points <= 41)).all()] if len(points) else []
    assert 0.4 < np.mean(near) < 0.65  # half of the samples, and by chance some others


def test_the_innermost_point_is_that_of_the_whole_distance_transform():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = scipy.ndimage.binary_opening(rng.random((30, 40)) < 0.85)
        if mask.any():
            depth = scipy.ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            assert depth[innermost(mask)] == depth.max()


def test_an_unknown_strategy_is_refused():
    name: Any = "xu"
    with pytest.raises(ValueError, match="strategy is 'xu', expected one of f-BRS, Xu, mixed"):
        sample_clicks(_labels(), (1,), np.random.default_rng(0), capacity=8, strategy=name)


# --- Xu et al. ------------------------------------------------------------------------------------


def _large():
    """An object of 60 x 60 in 300 x 300, with void, and two instances far away."""
    labels = np.zeros((300, 300), np.uint8)
    labels[120:180, 120:180] = 1
    labels[120:180, 180:184] = 255
    labels[5:45, 240:290], labels[240:285, 20:80] = 2, 3
    return labels


@pytest.fixture(scope="module")
def xu():
    labels, rng = _large(), np.random.default_rng(0)
    return labels, [xu_points(labels, (1,), rng) for _ in range(150)]


def test_positives_of_xu_keep_their_distance_to_the_rim_and_to_each_other(xu):
    _, samples = xu
    assert {len(positive) for positive, _ in samples} == {1, 2, 3, 4, 5}
    for positive, _ in samples:
        # Eroded by a diamond of radius 5: in a square, 5 pixels off every side.
        assert (positive >= 125).all() and (positive <= 174).all()
        assert _apart(positive) > 20


def _apart(points):
    """The least distance (the larger of rows and columns) of two of the points."""
    distance = np.abs(points[:, None] - points[None]).max(-1)
    return distance[~np.eye(len(points), dtype=bool)].min(initial=999)


def test_negatives_of_xu_follow_one_of_three_strategies(xu):
    labels, samples = xu
    target = labels == 1
    distance = scipy.ndimage.distance_transform_edt(~target)
    kinds = []
    for _, negative in samples:
        under = labels[*negative.T]
        assert not np.isin(under, (1, 255)).any()
        if not len(negative):
            continue
        if (under > 1).all():
            counts = [np.sum(under == i) for i in (2, 3)]
            kinds.append("objects")
            assert 1 <= counts[0] <= 5 and 1 <= counts[1] <= 5
            for i in (2, 3):
                assert _apart(negative[under == i]) > 20
        else:
            # The band begins 5 (city block) off the object and is 40 wide.
            assert (distance[*negative.T] > 3).all() and (distance[*negative.T] <= 46).all()
            assert len(negative) <= 10
            # All but the first of the spread ones keep 40 away; the order is not told.
            spread = max(_apart(np.delete(negative, i, 0)) for i in range(len(negative))) > 40
            assert _apart(negative) > 20 or spread
            kinds.append("spread" if spread and len(negative) > 4 else "band")
            if kinds[-1] == "spread":
                sides = {tuple(np.sign(np.rint((p - 150) / 60)).astype(int)) for p in negative}
                assert len(sides) >= 4
    assert all(0.12 < kinds.count(kind) / 150 < 0.45 for kind in ("objects", "spread", "band"))


def test_a_small_object_of_xu_is_not_eroded_away():
    labels, rng = np.zeros((40, 40), np.uint8), np.random.default_rng(0)
    labels[20:23, 20:23] = 1
    for _ in range(20):
        positive, _ = xu_points(labels, (1,), rng)
        assert len(positive) == 1 and labels[*positive[0]] == 1


@pytest.mark.parametrize("objects", [(1,), (1, 2)])
def test_mixed_strategies_agree_with_the_labels(objects):
    labels, rng = _large(), np.random.default_rng(0)
    for _ in range(60):
        clicks = sample_clicks(labels, objects, rng, capacity=12, strategy="mixed", centre=0.5)
        positive, negative = _values(clicks, labels)
        assert len(positive) and np.isin(positive, objects).all()
        assert not np.isin(negative, (*objects, 255)).any()


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
