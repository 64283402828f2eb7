"""IPN in a session: masks carried on against a plain loop over frames."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.models import model_named, variable_shapes
from ivs_jax.models.ipn import IPN
from ivs_jax.session.build import load_interactor, load_propagator
from ivs_jax.session.ipn_propagate import CHUNK, IPNPropagator
from ivs_jax.types import Annotation, make_clicks
from ivs_jax.weights.store import save_weights
from tests.tiny import filled
from tests.tiny_ipn import ipn_network  # noqa: F401

SIZE, COUNT = (50, 70), 8
METHODS = ("interact", "aggregate", "propagate")


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
def methods(ipn_network):  # noqa: F811
    net, variables = ipn_network
    return {m: jax.jit(partial(net.apply, variables, method=m)) for m in METHODS}


def run(propagator, annotations, objects, frames, start=0, video=None, previous=None):
    answers = propagator.propagate(
        video or Video(), annotations, objects, frames, start=start, previous=previous
    )
    found = dict(answers)
    assert list(found) == list(frames)
    for p in found.values():
        assert p.shape == (*SIZE, len(objects) + 1) and p.dtype == np.float32
        np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    return found


NONE = np.zeros((1, *SIZE), np.float32)


def image(frame):
    return Video()[frame][None].astype(np.float32) / 255


def reference(methods, annotations, number, sources, strokes=None):
    """I-net on each of the frames `sources`, the later one joined with all before it."""
    joined = None
    for frame in sources:
        shown = (annotations[frame].labels == number)[None].astype(np.float32)
        current = methods["interact"](image(frame), shown, *(strokes or (NONE, NONE))).features
        joined = current if joined is None else methods["aggregate"](current, joined)
    return joined


def plain(
    methods,
    annotations,
    objects,
    frames,
    start,
    sources,
    *,
    rounded=True,
    previous=None,
    strokes=None,
):
    """Nothing padded: each object by itself, its own mask rounded and passed on."""
    alone = {}
    for i, number in enumerate(objects, 1):
        joined = reference(methods, annotations, number, sources[number], strokes)
        here = annotations[start]
        mask = (here.labels == number).astype(np.float32) if number in here.objects else None
        for frame in frames:
            given = annotations.get(frame)
            before = previous[frame][None, ..., i] if previous and frame in previous else NONE
            if mask is not None:
                near = (np.round(mask) if rounded else mask)[None]
                inputs = joined, image(frame), before, near
                mask = np.array(methods["propagate"](*inputs)[0][0])
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


def alike(found, want):
    return all(np.allclose(found[frame], want[frame], atol=1e-3) for frame in want)


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, COUNT - 1])
def test_chunks_equal_a_plain_loop(methods, propagator, start):
    frames = range(1, COUNT) if start == 0 else range(COUNT - 2, -1, -1)
    annotations = {start: annotation([1, 3])}
    found = run(propagator, annotations, (1, 3), frames, start)
    want = plain(methods, annotations, (1, 3), frames, start, {1: [start], 3: [start]})
    assert len(frames) > CHUNK
    for frame in frames:
        np.testing.assert_allclose(found[frame], want[frame], atol=1e-3)
    # The network must say something that depends on the frame and differs between objects.
    assert np.ptp(found[frames[-1]][..., 1]) > 0.3
    assert np.abs(found[frames[0]] - found[frames[1]]).mean() > 0.01
    assert np.abs(found[frames[0]][..., 1] - found[frames[0]][..., 2]).mean() > 0.01


@pytest.mark.slow
def test_a_network_that_passes_soft_masks_on_is_given_them(methods, ipn_network):  # noqa: F811
    net, variables = ipn_network
    soft = IPNPropagator(IPN(replace(net.config, rounded=False)), variables)
    annotations, frames = {0: annotation([1])}, range(1, 4)
    found = run(soft, annotations, (1,), frames)
    for rounded in (False, True):
        want = plain(methods, annotations, (1,), frames, 0, {1: [0]}, rounded=rounded)
        assert alike(found, want) != rounded


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


@pytest.mark.slow
def test_annotated_frames_on_the_way_and_an_object_that_comes_later(methods, propagator):
    late = annotation([1, 2], shift=6)
    late.labels[:20] = 0
    annotations = {2: annotation([2]), 5: late, 0: annotation([1, 3])}
    objects, frames = (1, 2, 3), range(1, COUNT)
    found = run(propagator, annotations, objects, frames)
    sources = {1: [5, 0], 2: [2, 5], 3: [0]}
    assert alike(found, plain(methods, annotations, objects, frames, 0, sources))
    assert found[1][..., 2].max() < 1e-5  # not there yet
    for frame, number in ((2, 2), (5, 1), (5, 2)):
        np.testing.assert_array_equal(
            found[frame][..., number] > 0.5, annotations[frame].labels == number
        )
    assert found[3][..., 2].max() > 0.01


@pytest.mark.slow
def test_references_are_joined_in_the_order_of_rounds(methods, propagator):
    annotations = {5: annotation([1], shift=9), 2: annotation([1, 2], shift=4), 0: annotation([1])}
    frames = range(1, 3)
    found = run(propagator, annotations, (1, 2), frames)
    want = plain(methods, annotations, (1, 2), frames, 0, {1: [5, 2, 0], 2: [2]})
    assert alike(found, want)
    for other in ([2, 5, 0], [2, 0], [0]):
        assert not alike(found, plain(methods, annotations, (1, 2), frames, 0, {1: other, 2: [2]}))


@pytest.mark.slow
def test_references_come_from_frames_that_show_the_object(methods, propagator):
    # Object 1 is known at the start, but hidden; object 3 is hidden everywhere.
    annotations = {
        7: annotation([1, 2]),
        6: annotation([1], shift=3),
        0: annotation([2], known=[1, 2, 3]),
    }
    objects, frames = (1, 2, 3), range(1, 4)
    found = run(propagator, annotations, objects, frames)
    want = plain(methods, annotations, objects, frames, 0, {1: [7, 6], 2: [7, 0], 3: [0]})
    assert alike(found, want)


@pytest.mark.slow
def test_masks_of_the_earlier_round_are_seen(methods, propagator):
    annotations, objects, frames = {0: annotation([1, 2])}, (1, 2), range(1, 6)
    rng = np.random.default_rng(4)
    previous = {f: rng.dirichlet((1, 1, 1), SIZE).astype(np.float32) for f in (1, 2, 5)}
    found = run(propagator, annotations, objects, frames, previous=previous)
    sources = {1: [0], 2: [0]}
    assert alike(found, plain(methods, annotations, objects, frames, 0, sources, previous=previous))
    assert not alike(found, plain(methods, annotations, objects, frames, 0, sources))


@pytest.mark.slow
def test_a_reference_sees_the_strokes_where_the_config_says_so(methods, ipn_network, propagator):  # noqa: F811
    net, variables = ipn_network
    scribbles = np.full(SIZE, 255, np.uint8)
    scribbles[20, 8:15] = 1
    scribbles[44, 10:14] = 0  # 4 pixels below the object
    scribbles[20, 22:24] = 2  # another object beside it
    scribbles[5:9, 66] = 0  # too far away to say something about it
    annotations = {0: annotation([1])._replace(scribbles=scribbles)}
    maps = []
    for drawn in (
        scribbles == 1,
        (scribbles == 2) | (np.indices(SIZE)[0] == 44) & (scribbles == 0),
    ):
        cross = ndimage.generate_binary_structure(2, 1)
        maps.append(ndimage.binary_dilation(drawn, cross, iterations=2)[None].astype(np.float32))
    want = {
        strokes: plain(
            methods, annotations, (1,), [1], 0, {1: [0]}, strokes=maps if strokes else None
        )
        for strokes in (True, False)
    }
    without = IPNPropagator(IPN(replace(net.config, reference_strokes=False)), variables)
    for made, strokes in ((propagator, True), (without, False)):
        found = run(made, annotations, (1,), [1])
        assert alike(found, want[strokes]) and not alike(found, want[not strokes])


@pytest.mark.slow
def test_a_reference_is_computed_once(propagator, monkeypatch):
    asked, real = [], propagator._reference
    monkeypatch.setattr(
        propagator, "_reference", lambda *inputs: asked.append(inputs) or real(*inputs)
    )
    other = Video(5)
    annotations = {6: annotation([1, 2]), 3: annotation([1], shift=1)}
    run(propagator, annotations, (1, 2), [4, 5], 3, other)
    assert len(asked) == 3
    run(propagator, annotations, (1, 2), [2, 1], 3, other)
    assert len(asked) == 3
    run(propagator, annotations | {3: annotation([1], shift=2)}, (1, 2), [2], 3, other)
    assert len(asked) == 4


@pytest.mark.slow
def test_nothing_compiles_after_the_first_propagation(propagator, compilations):
    """Neither for a later round nor for a video of nearly the same size."""
    run(propagator, {0: annotation([1])}, (1,), range(1, 3))
    with compilations() as compiled:
        found = run(propagator, {0: annotation([1]), 7: annotation([1])}, (1,), range(6, 0, -1), 7)
        run(propagator, {2: annotation([2])}, (2,), range(3, 4), 2, Video(1), previous=found)
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
