import numpy as np
import pytest
import scipy.ndimage

from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.crops import Windows
from ivs_jax.data.sets import Stills
from ivs_jax.data.stills import Still
from tests.data.scenes import mixture

SIZE = 48


def _still():
    """Two instances, one bright and one middling, with void beside the first, on black."""
    labels = np.zeros((70, 90), np.uint8)
    labels[10:40, 8:44] = 255
    labels[12:40, 10:40], labels[30:65, 50:85] = 1, 2
    grey = np.choose(np.minimum(labels, 3), [0, 220, 90, 150]).astype(np.uint8)
    return Still(np.repeat(grey[..., None], 3, -1), labels, "s")


def _samples(seed=0, count=40, still=None, **options):
    rng = np.random.default_rng(seed)
    settings = ClickSamples((Stills("s"),), **({"size": SIZE} | options))
    return [settings.draw(mixture(still or _still()), rng) for _ in range(count)]


def test_shapes_and_values():
    sample = _samples(count=1, capacity=12)[0]
    assert sample.image.shape == (SIZE, SIZE, 3) and sample.image.dtype == np.uint8
    assert sample.truth.shape == (SIZE, SIZE) and sample.truth.dtype == np.int8
    assert sample.clicks.xy.shape == (12, 2) and sample.clicks.label.shape == (12,)
    assert sample.seed.dtype == np.uint32
    assert set(np.unique([s.truth for s in _samples()])) == {-1, 0, 1}
    assert len({int(s.seed) for s in _samples()}) == 40


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"turn": 3.0, "quarter_turns": True},
        {"windows": Windows(rescale=(0.75, 1.25)), "least_area": 80},
        {"strategy": "Xu"},
    ],
)
def test_truth_lies_on_its_object_in_the_image(options):
    kinds = set()
    for image, truth, *_ in _samples(**options):
        grey = image.mean(-1)
        inside, outside = grey[truth == 1], grey[truth == 0]
        bright = np.median(inside)
        assert bright > 60  # neither object is black
        # One object: what is as bright as it lies in the truth. Borders are mixed by resampling.
        if np.ptp(np.percentile(inside, [25, 75])) < 30:
            kinds.add("one")
            assert np.mean(np.abs(outside - bright) < 15) < 0.06
        else:
            kinds.add("union")
            assert np.mean(outside < 40) > 0.9
    assert "one" in kinds


def test_unions_of_two_objects_occur():
    def parts(union):
        return [scipy.ndimage.label(s.truth == 1)[1] for s in _samples(count=60, union=union)]

    assert set(parts(0.0)) == {1} and max(parts(0.5)) == 2 and 1.1 < np.mean(parts(0.5)) < 1.6


def test_clicks_agree_with_the_truth_and_avoid_void():
    for sample in _samples(strategy="mixed", turn=3.0, quarter_turns=True):
        xy, label = sample.clicks
        columns, rows = xy[label >= 0].astype(int).T
        np.testing.assert_array_equal(sample.truth[rows, columns], label[label >= 0])


@pytest.mark.parametrize("options", [{}, {"turn": 3.0, "quarter_turns": True}])
@pytest.mark.parametrize("strategy", ["f-BRS", "Xu"])
def test_nobody_clicks_beyond_the_border_of_the_image(options, strategy):
    still = _still()._replace(image=np.full((70, 90, 3), 99, np.uint8))
    windows, beyond = Windows(whole=1.0), 0
    for sample in _samples(still=still, strategy=strategy, windows=windows, **options):
        columns, rows = sample.clicks.xy[sample.clicks.label >= 0].astype(int).T
        assert (sample.image[rows, columns] > 0).all()
        outside = (sample.image == 0).all(-1)
        assert (sample.truth[outside] == 0).mean() > 0.95  # but it is background, not void
        beyond += outside.any()
    assert beyond > 20


def test_the_same_generator_gives_the_same_sample():
    for a, b in zip(_samples(3, 4), _samples(3, 4), strict=True):
        for x, y in zip((*a[:2], *a.clicks), (*b[:2], *b.clicks), strict=True):
            np.testing.assert_array_equal(x, y)
    assert (_samples(3, 1)[0].image != _samples(4, 1)[0].image).any()


def test_samples_are_mirrored_and_turned():
    """Of two objects the bright one is at the upper left; where it comes out tells the turn."""
    places: dict[bool, set] = {False: set(), True: set()}
    for turns in places:
        for sample in _samples(count=60, union=1.0, windows=Windows(1.0), quarter_turns=turns):
            grey = sample.image.mean(-1)
            bright, middling = grey > 190, (grey > 60) & (grey < 120)
            step = np.mean(np.nonzero(bright), 1) - np.mean(np.nonzero(middling), 1)
            places[turns].add((*np.sign(np.rint(step / 4)).astype(int),))
    assert {(-1, -1), (-1, 1)} == places[False]
    assert places[True] == {(-1, -1), (-1, 1), (1, -1), (1, 1)}


def test_instances_that_hardly_fill_their_box_are_never_the_object():
    labels = np.zeros((60, 60), np.uint8)
    labels[np.arange(60), np.arange(60)], labels[4:24, 36:56] = 1, 2
    still = Still(np.zeros((60, 60, 3), np.uint8), labels, "s")
    areas = [np.sum(s.truth == 1) for s in _samples(still=still, least_fill=0.1, union=0.0)]
    assert min(areas) > 150  # of the square; the line covers about one side of the window


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4},
        {"least_area": 5000},
        {"still": _still()._replace(labels=np.zeros((70, 90), np.uint8))},
    ],
)
def test_sets_that_give_no_sample_are_named(options):
    with pytest.raises(ValueError, match="scene: no sample in 200 draws: too few or too small"):
        _samples(count=1, **options)
