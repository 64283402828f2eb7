"""Clicks -> mask with a real (tiny, random) network: windows, refinement, no recompilation."""

import jax
import numpy as np
import pytest

from ivs_jax.models import brs
from ivs_jax.models.brs import ClickNet
from ivs_jax.session.click import ClickInteractor, agreement
from ivs_jax.types import make_clicks
from tests.tiny import Trunk, click_network

SIZE, BUDGET = (50, 70), 25


@pytest.fixture(scope="module", params=["NoBRS", "f-BRS-B", "BRS"])
def network(request):
    """One interactor a mode, so that each compiles once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(brs.BACKBONES, "tiny", Trunk)
        found = click_network(jax.random.key(0))
        yield ClickInteractor(*found, refine=request.param, budget=BUDGET)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def clicks(*points):
    """Clicks `(x, y, label)`, in the capacity that sessions use."""
    return make_clicks([p[:2] for p in points], [p[2] for p in points], capacity=8)


FIRST = clicks((30, 20, 1))
SECOND = clicks((30, 20, 1), (60, 40, 0))


@pytest.mark.slow
def test_nothing_compiles_from_the_second_click_on(network, image, compilations):
    answer = network.predict(image, FIRST, None)
    with compilations() as compiled:
        second = network.predict(image, SECOND, answer.probability)
        network.predict(image, clicks((5, 5, 1), (60, 40, 0), (2, 40, 1)), second.probability)
        network.predict(image[:, :60], FIRST, None)  # another size of the same bucket
    assert compiled.count == 0
    assert second.seconds["compile"] == 0
    assert second.probability.shape == SIZE and second.probability.dtype == np.float32
    assert 0 <= second.probability.min() and second.probability.max() <= 1


@pytest.mark.slow
def test_refinement_satisfies_clicks_that_the_network_alone_misses(network, image):
    # Whatever the random network thinks, one of two opposite pairs of clicks contradicts it.
    one = network.predict(image, SECOND, None)
    other = network.predict(image, clicks((60, 40, 1), (30, 20, 0)), None)
    if network.refine == "NoBRS":
        assert not (one.satisfied.all() and other.satisfied.all())
        assert one.evaluations == other.evaluations == 0
        return
    assert 1 < max(one.evaluations, other.evaluations) <= BUDGET
    if network.refine == "BRS":  # its variables have the freedom for any clicks
        assert one.satisfied.all() and other.satisfied.all()


def test_a_tap_that_the_network_lacks_and_an_unknown_mode_are_errors():
    net = ClickNet()
    with pytest.raises(ValueError, match="no tap for f-BRS-A, only for f-BRS-B"):
        ClickInteractor(net, {}, refine="f-BRS-A")
    with pytest.raises(ValueError, match="unknown refinement mode 'brs'.*f-BRS-B"):
        ClickInteractor(net, {}, refine="brs")


def test_agreement_reads_the_clicked_pixels():
    probability = np.zeros(SIZE, np.float32)
    probability[10, 20] = 0.9
    found = agreement(probability, clicks((20, 10, 1), (20, 10, 0), (69, 49, 0)), threshold=0.5)
    assert found.tolist() == [True, False, True]
