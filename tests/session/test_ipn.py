"""IPN in a session: clicks as scribbles, and masks carried on against a plain loop over frames."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.models import model_named, variable_shapes
from ivs_jax.models.ipn import IPN
from ivs_jax.ops.distance import crosses
from ivs_jax.session.build import load_interactor, load_propagator
from ivs_jax.session.ipn import CHUNK, IPNInteractor, IPNPropagator
from ivs_jax.types import Annotation, make_clicks
from ivs_jax.weights.store import save_weights
from tests.tiny import filled
from tests.tiny_ipn import ipn_network  # noqa: F401

SIZE, COUNT = (50, 70), 8


class Video:
    """Smooth random frames that drift."""

    path, size = "synthetic", SIZE

    def __init__(self, seed=0):
        coarse = np.random.default_rng(seed).uniform(0, 255, (9, 11, 3))
        base = ndimage.zoom(coarse, (8, 8, 1), order=1).astype(np.uint8)
        self.frames = [base[t : t + SIZE[0], t : t + SIZE[1]] for t in range(COUNT)]

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return self.frames[index]


def annotation(objects, *, known=None, shift=0):
    """A rectangle for each of `objects`; `known` ids that are not among them are not there."""
    labels = np.zeros(SIZE, np.uint8)
    for number in objects:
        x = 5 + 20 * (number - 1) + shift
        labels[8:40, x : x + 16] = number
    return Annotation(labels, tuple(known or objects))


@pytest.fixture(scope="module")
def propagator(ipn_network):  # noqa: F811
    return IPNPropagator(*ipn_network)


@pytest.fixture(scope="module")
def interactor(ipn_network):  # noqa: F811
    return IPNInteractor(*ipn_network)


@pytest.fixture(scope="module")
def methods(ipn_network):  # noqa: F811
    net, variables = ipn_network
    return {m: jax.jit(partial(net.apply, variables, method=m)) for m in ("interact", "propagate")}


def run(propagator, annotations, objects, frames, start=0, video=None):
    answers = propagator.propagate(video or Video(), annotations, objects, frames, start=start)
    found = dict(answers)
    assert list(found) == list(frames)
    for p in found.values():
        assert p.shape == (*SIZE, len(objects) + 1) and p.dtype == np.float32
        np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    return found


def plain(methods, annotations, objects, frames, start, sources, *, rounded=True):
    """Nothing padded: each object by itself, its own mask rounded and passed on."""
    video, none = Video(), np.zeros((1, *SIZE), np.float32)

    def image(frame):
        return video[frame][None].astype(np.float32) / 255

    alone = {}
    for number in objects:
        shown = (annotations[sources[number]].labels == number)[None].astype(np.float32)
        found = methods["interact"](image(sources[number]), shown, none, none)
        reference = found.features
        here = annotations[start]
        mask = (here.labels == number).astype(np.float32) if number in here.objects else None
        for frame in frames:
            given = annotations.get(frame)
            if mask is not None:
                near = (np.round(mask) if rounded else mask)[None]
                mask = np.array(methods["propagate"](reference, image(frame), none, near)[0][0])
            if given is not None and number in given.objects:
                mask = (given.labels == number).astype(np.float32)
            elif given is not None and mask is not None:
                mask[np.isin(given.labels, given.objects)] = 0
            alone[frame, number] = np.zeros(SIZE) if mask is None else mask
    out = {}
    for frame in frames:
        p = np.stack([alone[frame, number] for number in objects], -1).astype(np.float64)
        p = np.concatenate([np.prod(1 - p, -1, keepdims=True), p], -1).clip(1e-7, 1 - 1e-7)
        out[frame] = p / (1 - p) / (p / (1 - p)).sum(-1, keepdims=True)
    return out


@pytest.mark.parametrize("start", [0, COUNT - 1])
def test_chunks_equal_a_plain_loop(methods, propagator, start):
    frames = range(1, COUNT) if start == 0 else range(COUNT - 2, -1, -1)
    annotations = {start: annotation([1, 3])}
    found = run(propagator, annotations, (1, 3), frames, start)
    want = plain(methods, annotations, (1, 3), frames, start, {1: start, 3: start})
    assert len(frames) > CHUNK
    for frame in frames:
        np.testing.assert_allclose(found[frame], want[frame], atol=1e-3)
    # The network must say something that depends on the frame and differs between objects.
    assert np.ptp(found[frames[-1]][..., 1]) > 0.3
    assert np.abs(found[frames[0]] - found[frames[1]]).mean() > 0.01
    assert np.abs(found[frames[0]][..., 1] - found[frames[0]][..., 2]).mean() > 0.01


def test_a_network_that_passes_soft_masks_on_is_given_them(methods, ipn_network):  # noqa: F811
    net, variables = ipn_network
    soft = IPNPropagator(IPN(replace(net.config, rounded=False)), variables)
    annotations, frames = {0: annotation([1])}, range(1, 4)
    found = run(soft, annotations, (1,), frames)
    for rounded in (False, True):
        want = plain(methods, annotations, (1,), frames, 0, {1: 0}, rounded=rounded)
        assert np.allclose(found[3], want[3], atol=1e-3) != rounded


@pytest.mark.slow
def test_the_small_network_clicks_and_propagates(tmp_path):
    shapes = variable_shapes(model_named("ipn-small"))
    save_weights(tmp_path / "ipn-small.safetensors", "ipn-small", filled(shapes))
    interactor = load_interactor("ipn-small", weights=tmp_path)
    assert interactor.refine == "NoBRS"
    image = Video()[0]
    answers = [
        interactor.predict(image, c, None).probability
        for c in (clicks((20, 10, 1)), clicks((40, 30, 1)))
    ]
    assert answers[0].shape == SIZE and np.abs(answers[0] - answers[1]).max() > 1e-3
    run(load_propagator("ipn-small", weights=tmp_path), {0: annotation([1])}, (1,), range(1, 3))


def test_annotated_frames_on_the_way_and_an_object_that_comes_later(methods, propagator):
    late = annotation([1, 2], shift=6)
    late.labels[:20] = 0
    annotations = {0: annotation([1, 3]), 2: annotation([2]), 5: late}
    objects, frames = (1, 2, 3), range(1, COUNT)
    found = run(propagator, annotations, objects, frames)
    sources = {1: 0, 2: 2, 3: 0}
    want = plain(methods, annotations, objects, frames, 0, sources)
    for frame in frames:
        np.testing.assert_allclose(found[frame], want[frame], atol=1e-3)
    assert found[1][..., 2].max() < 1e-5  # not there yet
    for frame, number in ((2, 2), (5, 1), (5, 2)):
        np.testing.assert_array_equal(
            found[frame][..., number] > 0.5, annotations[frame].labels == number
        )
    assert found[3][..., 2].max() > 0.01


def test_references_come_from_the_nearest_frame_that_shows_the_object(methods, propagator):
    # Object 1 is known at the start, but hidden: its reference is that of frame 6, not of 0 or 7.
    annotations = {0: annotation([2], known=[1, 2]), 6: annotation([1]), 7: annotation([1, 2])}
    frames = range(1, 4)
    found = run(propagator, annotations, (1, 2), frames)
    want = plain(methods, annotations, (1, 2), frames, 0, {1: 6, 2: 0})
    for frame in frames:
        np.testing.assert_allclose(found[frame], want[frame], atol=1e-3)


def test_nothing_compiles_for_another_video_of_nearly_the_same_size(propagator, compilations):
    run(propagator, {0: annotation([1])}, (1,), range(1, 3))
    with compilations() as compiled:
        run(propagator, {2: annotation([2])}, (2,), range(3, COUNT), start=2, video=Video(1))
        other = Video(2)
        other.size = (44, 61)
        other.frames = [frame[:44, :61] for frame in other.frames]
        known = annotation([1])._replace(labels=annotation([1]).labels[:44, :61])
        answers = propagator.propagate(other, {0: known}, (1,), range(1, 4), start=0)
        assert [p.shape for _, p in answers] == [(44, 61, 2)] * 3
    assert compiled.count == 0


def clicks(*points):
    """Clicks `(x, y, label)`, in the capacity that sessions use."""
    return make_clicks([p[:2] for p in points], [p[2] for p in points], capacity=8)


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


def test_the_mask_of_clicks_is_that_of_their_scribbles(methods, interactor):
    image, chosen = Video()[0], clicks((20, 10, 1), (60, 40, 0))
    previous = np.random.default_rng(3).random(SIZE).astype(np.float32)
    maps = np.moveaxis(crosses(chosen, SIZE), -1, 0)[:, None]
    for before in (None, previous):
        mask = np.zeros(SIZE, np.float32) if before is None else before
        want = methods["interact"](image[None] / np.float32(255), mask[None], *maps)
        found = interactor.predict(image, chosen, before)
        np.testing.assert_allclose(found.probability, want.probability[0], atol=1e-4)
        agrees = [found.probability[10, 20] > 0.5, found.probability[40, 60] <= 0.5]
        assert found.satisfied.tolist() == agrees
        assert (found.evaluations, found.energy) == (0, 0)


def test_nothing_compiles_from_the_second_click_on(interactor, compilations):
    image = Video()[0]
    first = interactor.predict(image, clicks((30, 20, 1)), None)
    with compilations() as compiled:
        second = interactor.predict(image, clicks((30, 20, 1), (6, 4, 0)), first.probability)
        interactor.predict(image[:, :60], clicks((3, 2, 1)), None)  # another size of the bucket
    assert compiled.count == 0 and second.seconds["compile"] == 0
    assert not np.allclose(first.probability, second.probability, atol=1e-3)


def test_refinement_is_refused(ipn_network):  # noqa: F811
    with pytest.raises(ValueError, match="ipn has no refinement, so refine 'BRS' must be NoBRS"):
        IPNInteractor(*ipn_network, refine="BRS")
