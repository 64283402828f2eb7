"""Clicks -> mask with a real (tiny, random) network: windows, refinement, no recompilation."""

import jax
import numpy as np
import pytest

from ivs_jax.session.click import ClickInteractor, agreement
from ivs_jax.types import make_clicks
from tests.tiny import click_network, tiny  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")

SIZE = (50, 70)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def interactor(refine, **options):
    return ClickInteractor(*click_network(jax.random.key(0)), refine=refine, **options)


def clicks(*points):
    """Clicks `(x, y, label)`, in the capacity that sessions use."""
    return make_clicks([p[:2] for p in points], [p[2] for p in points], capacity=8)


FIRST = clicks((30, 20, 1))
SECOND = clicks((30, 20, 1), (60, 40, 0))


@pytest.mark.parametrize("refine", ["NoBRS", "f-BRS-B", "BRS"])
def test_nothing_compiles_from_the_second_click_on(image, compilations, refine):
    network = interactor(refine, budget=4)
    answer = network.predict(image, FIRST, None)
    assert answer.seconds["compile"] > 0
    with compilations() as compiled:
        second = network.predict(image, SECOND, answer.probability)
        network.predict(image, clicks((5, 5, 1), (60, 40, 0), (2, 40, 1)), second.probability)
        network.predict(image[:, :60], FIRST, None)  # another size of the same bucket
    assert compiled.count == 0
    assert second.seconds["compile"] == 0
    assert second.probability.shape == SIZE and second.probability.dtype == np.float32
    assert 0 <= second.probability.min() and second.probability.max() <= 1


@pytest.mark.parametrize("refine", ["BRS", "f-BRS-B", "RGB-BRS", "DistMap-BRS"])
def test_refinement_satisfies_clicks_that_the_network_alone_misses(image, refine):
    before = interactor("NoBRS").predict(image, SECOND, None)
    assert not before.satisfied.all() and before.evaluations == 0
    after = interactor(refine, budget=60).predict(image, SECOND, None)
    assert 1 < after.evaluations <= 60
    if refine in ("BRS", "DistMap-BRS"):  # the variables have the freedom to satisfy any clicks
        assert after.satisfied.all()
    assert after.satisfied.sum() >= before.satisfied.sum()


def test_budget_bounds_the_evaluations(image):
    assert interactor("BRS", budget=3).predict(image, SECOND, None).evaluations <= 3


def test_a_tap_that_the_network_lacks_and_an_unknown_mode_are_errors():
    with pytest.raises(ValueError, match="no tap for f-BRS-A, only for f-BRS-B"):
        interactor("f-BRS-A")
    with pytest.raises(ValueError, match="unknown refinement mode 'brs'.*f-BRS-B"):
        interactor("brs")


def test_agreement_reads_the_clicked_pixels():
    probability = np.zeros(SIZE, np.float32)
    probability[10, 20] = 0.9
    found = agreement(probability, clicks((20, 10, 1), (20, 10, 0), (69, 49, 0)), threshold=0.5)
    assert found.tolist() == [True, False, True]
