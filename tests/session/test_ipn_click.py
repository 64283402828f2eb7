"""I-net in a session: clicks and strokes on a frame, in windows of the right places."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.interaction import Stroke
from ivs_jax.interaction.strokes import rasterise, signed
from ivs_jax.ops.distance import crosses
from ivs_jax.session.ipn_click import IPNInteractor
from ivs_jax.types import make_clicks
from tests.tiny_ipn import ipn_network  # noqa: F401

SIZE = (50, 70)


@pytest.fixture(scope="module")
def interactor(ipn_network):  # noqa: F811
    return IPNInteractor(*ipn_network)


@pytest.fixture(scope="module")
def interact(ipn_network):  # noqa: F811
    net, variables = ipn_network
    return jax.jit(partial(net.apply, variables, method="interact"))


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(0).uniform(0, 255, (7, 9, 3))
    return ndimage.zoom(coarse, (8, 8, 1), order=1).astype(np.uint8)[: SIZE[0], : SIZE[1]]


def clicks(*points):
    """Clicks `(x, y, label)`, in the capacity that sessions use."""
    return make_clicks([p[:2] for p in points], [p[2] for p in points], capacity=8)


def scribbles(*strokes):
    """Strokes `(object, point, point, ...)` as object 1 sees them."""
    return signed(rasterise([Stroke(number, path) for number, *path in strokes], SIZE), 1)


def plain(interact, image, previous, positive, negative):
    """The network on maps that are dilated twice by a cross; the object's win."""
    cross = ndimage.generate_binary_structure(2, 1)
    own, other = (ndimage.binary_dilation(x, cross, iterations=2) for x in (positive, negative))
    maps = [x[None].astype(np.float32) for x in (previous, own, other & ~own)]
    return np.asarray(interact(image[None] / np.float32(255), *maps).probability[0])


def test_clicks_become_pixels_dilated_twice_by_a_cross():
    points = [(20, 10, 1), (21.4, 12.6, 0), (0, 0, 0), (69, 49, 1), (20, 13, 0)]
    want, cross = [], ndimage.generate_binary_structure(2, 1)
    for label in (1, 0):
        pixels = np.zeros(SIZE, bool)
        for x, y, own in points:
            if own == label:
                pixels[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))] = True
        want.append(ndimage.binary_dilation(pixels, cross, iterations=2))
    want[1] &= ~want[0]  # the later, positive scribble is drawn over the other
    found = crosses(clicks(*points), SIZE)
    np.testing.assert_array_equal(found, np.stack(want, -1))
    assert not crosses(clicks(), SIZE).any()


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_the_mask_is_that_of_clicks_and_strokes_together(interact, interactor, image, drawn, begun):
    chosen = clicks((20, 10, 1), (26, 40, 0))
    lines = scribbles((1, (10, 10), (30, 14)), (0, (10, 17), (30, 12))) if drawn else None
    previous = np.zeros(SIZE, np.float32)
    if begun:
        previous[5:30, 10:40] = np.random.default_rng(3).random((25, 30))
    positive, negative = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    positive[10, 20] = negative[40, 26] = True
    if lines is not None:
        positive |= lines == 1
        negative |= lines == 0
    want = plain(interact, image, previous, positive, negative)
    found = interactor.predict(image, chosen, previous if begun else None, scribbles=lines)
    np.testing.assert_allclose(found.probability, want, atol=1e-4)
    agrees = [found.probability[10, 20] > 0.5, found.probability[40, 26] <= 0.5]
    assert found.satisfied.tolist() == agrees
    assert (found.evaluations, found.energy) == (0, 0)


def test_strokes_change_the_answer_and_those_of_others_far_away_do_not(interactor, image):
    own, close, far = (1, (10, 10), (30, 14)), (0, (10, 18), (30, 18)), (0, (60, 0), (69, 49))

    def ask(*strokes):
        return interactor.predict(image, clicks((20, 12, 1)), None, scribbles=scribbles(*strokes))

    alone, beside, both = (ask(*s).probability for s in ((own,), (own, close), (own, close, far)))
    assert np.abs(alone - beside).max() > 1e-3
    np.testing.assert_array_equal(beside, both)


def test_nothing_compiles_from_the_second_click_on(interactor, image, compilations):
    first = interactor.predict(image, clicks((30, 20, 1)), None)
    with compilations() as compiled:
        second = interactor.predict(image, clicks((30, 20, 1), (6, 4, 0)), first.probability)
        lines = scribbles((1, (3, 3), (60, 40)))
        interactor.predict(image, clicks((30, 20, 1)), first.probability, scribbles=lines)
        interactor.predict(image[:, :60], clicks((3, 2, 1)), None)  # another size of the bucket
    assert compiled.count == 0 and second.seconds["compile"] == 0
    assert not np.allclose(first.probability, second.probability, atol=1e-3)


def test_refinement_is_refused(ipn_network):  # noqa: F811
    with pytest.raises(ValueError, match="ipn has no refinement, so refine 'BRS' must be NoBRS"):
        IPNInteractor(*ipn_network, refine="BRS")
