"""Prediction and refinement with and without the mirror image, on a narrow f-BRS network."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models.fbrs import FBRS
from ivs_jax.refine import FAILED, MODES
from ivs_jax.session.answer import Answer, answer, click_copies, joined
from ivs_jax.session.click import Carried, ClickInteractor
from ivs_jax.session.protocol import PublishedProtocol
from ivs_jax.types import Clicks, make_clicks
from tests.tiny import fbrs_network, narrow  # noqa: F401

SIDE = 32
CLICKS = make_clicks([(8, 10), (20, 25), (11.3, 4)], [1, 0, 1])
QUICK = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}


@pytest.fixture
def network(narrow):  # noqa: F811
    """A narrow network with flip, its variables and an image."""
    image = np.random.default_rng(0).random((SIDE, SIDE, 3), np.float32)
    return *fbrs_network(), image


def asking(net, variables, mode, *, batched=False):
    """`(image, clicks, start=None) -> Answer`, compiled once for each kind of start."""
    config = MODES.get(mode)
    if config is not None:
        config = replace(config, max_evaluations=4, stop_unchanged=False)
    function = partial(answer, net, config)
    if batched:
        function = jax.vmap(function, (None, 0, None, 0, None))
    program = jax.jit(function, compiler_options=QUICK)
    blank = np.zeros((SIDE, SIDE), np.float32)
    return lambda image, clicks, start=None: program(variables, image, blank, clicks, start)


def mirrored(clicks):
    return Clicks(*(np.asarray(leaf[1]) for leaf in click_copies(clicks, SIDE, flip=True)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["NoBRS", "DistMap-BRS", "f-BRS-C"])
def test_the_mirror_image_has_the_mirrored_answer(network, mode):
    net, variables, image = network
    ask = asking(net, variables, mode)
    found, other = ask(image, CLICKS), ask(image[:, ::-1], mirrored(CLICKS))
    scale = np.ptp(found.logits)
    np.testing.assert_allclose(other.logits[:, ::-1], found.logits, atol=1e-3 * scale)
    np.testing.assert_allclose(other.energy, found.energy, rtol=1e-4)
    assert found.evaluations == other.evaluations == (0 if mode == "NoBRS" else 4)


def test_flip_averages_the_logits_of_two_plain_answers(network):
    net, variables, image = network
    plain = asking(FBRS(replace(net.config, flip=False)), variables, "NoBRS")
    one, other = plain(image, CLICKS).logits, plain(image[:, ::-1], mirrored(CLICKS)).logits
    both = asking(net, variables, "NoBRS")(image, CLICKS).logits
    np.testing.assert_allclose(both, (one + other[:, ::-1]) / 2, rtol=1e-4, atol=1e-4)
    assert not np.allclose(one, other[:, ::-1], atol=1e-2)


def test_copies_of_clicks_and_logits_are_in_their_own_pixels():
    xy = click_copies(CLICKS, SIDE, flip=True).xy
    np.testing.assert_allclose(xy[1, :3], [(23, 10), (11, 25), (19.7, 4)], rtol=1e-6)
    logits = np.arange(6.0, dtype=np.float32).reshape(2, 1, 3)
    assert joined(logits).tolist() == [[(0 + 5) / 2, (1 + 4) / 2, (2 + 3) / 2]]
    assert joined(logits[:1]).tolist() == [[0, 1, 2]]


@pytest.mark.slow
def test_an_interactor_refines_at_any_tap_of_the_network(network):
    net, variables, _ = network
    image = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    interactor = ClickInteractor(net, variables, refine="f-BRS-A", budget=5)
    found, carried = interactor.predict_from(image, CLICKS, None, None)
    assert found.probability.shape == (40, 50) and 1 <= found.evaluations <= 15
    warm, _ = interactor.predict_from(image, CLICKS, None, carried)
    assert warm.energy < found.energy
    assert interactor.threshold == 0.49


@pytest.mark.slow
def test_a_warm_start_and_the_clicks_below_which_nothing_is_refined(network):
    net, variables, image = network
    ask = asking(net, variables, "f-BRS-C")
    cold = ask(image, CLICKS)
    warm = ask(image, CLICKS, cold.x)
    assert warm.energy <= cold.energy and cold.evaluations == warm.evaluations == 4
    zeros = jax.tree.map(np.zeros_like, cold.x)
    np.testing.assert_allclose(ask(image, CLICKS, zeros).energy, cold.energy, rtol=1e-5)
    alone = ask(image, make_clicks([(8, 10)], [1], capacity=8), zeros)  # f-BRS: from the second on
    assert alone.evaluations == 1 and not alone.x["scale"].any()


@pytest.mark.slow
def test_a_batch_of_answers_equals_single_ones(network):
    net, variables, image = network
    ask = asking(net, variables, "f-BRS-C")
    batch = asking(net, variables, "f-BRS-C", batched=True)
    windows = np.stack([image, image[::-1], image**2])
    clicks = [CLICKS, make_clicks([(8, 10)], [1]), make_clicks([(3, 5), (9, 9)], [0, 1])]
    together = batch(windows, jax.tree.map(lambda *leaves: np.stack(leaves), *clicks))
    apart = [ask(window, c) for window, c in zip(windows, clicks, strict=True)]
    assert together.evaluations.tolist() == [int(found.evaluations) for found in apart]
    assert together.status.tolist() == [int(found.status) for found in apart]
    assert len(set(together.evaluations.tolist())) > 1
    for i, found in enumerate(apart):
        scale = np.ptp(found.logits)
        np.testing.assert_allclose(together.logits[i], found.logits, atol=1e-3 * scale)
        np.testing.assert_allclose(together.energy[i], found.energy, rtol=1e-3)


@pytest.mark.slow
def test_a_bfloat16_network_is_close_and_all_else_stays_float32(network):
    net, variables, image = network
    blank = np.zeros((SIDE, SIDE), np.float32)
    low = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), variables)
    given = (low, image, blank, CLICKS)
    refined = jax.eval_shape(partial(answer, net, MODES["f-BRS-C"], dtype=jnp.bfloat16), *given)
    for leaf in (*refined.x.values(), refined.energy, refined.logits):
        assert leaf.dtype == np.float32
    plain = jax.jit(partial(answer, net, None, dtype=jnp.bfloat16), compiler_options=QUICK)
    found, expected = plain(*given), asking(net, variables, "NoBRS")(image, CLICKS)
    assert 0 < np.abs(found.logits - expected.logits).max() < 0.1 * np.ptp(expected.logits)


def test_the_published_protocol_carries_from_click_to_click():
    class Counting:
        """Answers with where it was told to start."""

        name, refine, fingerprint, threshold = "counting", "f-BRS-B", "f", 0.49
        config = None

        def predict_from(self, image, clicks, previous, carried):
            start = 0 if carried is None else carried.x
            return start, Carried(start + 1, np.zeros(4))

    protocol, image = PublishedProtocol(Counting()), np.zeros((4, 4, 3), np.uint8)
    mask = np.ones((4, 4), np.float32)

    def ask(count, image=image, previous=mask):
        return protocol.predict(image, make_clicks([(1, 1)] * count, [1] * count), previous)

    assert [ask(1, previous=None), ask(2), ask(3)] == [0, 1, 2]
    assert ask(3) == 0  # not one click more
    assert ask(4, image=image.copy()) == 0  # another image
    assert ask(5, previous=None) == 0
    assert (protocol.threshold, protocol.fingerprint) == (0.49, "f published")


def test_changes_of_the_input_hold_in_their_window_alone(network):
    net, variables, _ = network
    inputs = ClickInteractor(net, variables, refine="DistMap-BRS")
    features = ClickInteractor(net, variables, refine="f-BRS-C")
    box, other, x = np.array([0, 0, 9, 9]), np.array([0, 0, 8, 8]), np.zeros(2)
    carried = Carried(x, box)
    assert inputs._start(carried, box) is x and inputs._start(carried, other) is None
    assert features._start(carried, other) is x and features._start(None, box) is None


def test_an_answer_that_is_not_finite_is_an_error(network):
    net, variables, _ = network
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), variables)
    interactor = ClickInteractor(net, broken, refine="NoBRS", name="narrow")
    with pytest.raises(ValueError, match="narrow: expected a finite answer.*found NaN"):
        interactor.predict(np.zeros((40, 50, 3), np.uint8), CLICKS, None)
    failed = Answer(np.zeros(1), np.int32(1), np.float32(np.nan), np.int32(FAILED), ())
    with pytest.raises(ValueError, match="expected a finite answer"):
        interactor._check_finite(failed)
