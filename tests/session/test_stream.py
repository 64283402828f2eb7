"""A stream against sessions over the same frames, with a real (tiny, random) network."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from ivs_jax.api import StreamPredictor
from ivs_jax.interaction import Mask, Propagate
from ivs_jax.io import encode_rle, open_video
from ivs_jax.models import stm
from ivs_jax.session import Engine, StreamPropagator, start, step
from ivs_jax.session.propagate import STMPropagator
from ivs_jax.session.stream import Kept, _spare
from ivs_jax.types import Annotation
from tests.plain_engine import PlainInteractor
from tests.tiny import BACKBONE, STM, STM_TWO_ENCODERS, filled

SIZE, COUNT = (32, 48), 11
SMALL = replace(STM, working_side=max(SIZE), every=3)
# Of this one the memory holds annotated frames alone, so masks depend on nothing else.
INTERACTIVE = replace(
    STM_TWO_ENCODERS, short_side=64, scribbles=True, others=False, annotated_only=True, capacity=2
)


@pytest.fixture(scope="module", params=[SMALL, INTERACTIVE], ids=["small", "interactive"])
def propagator(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stm.BACKBONES, "tiny", BACKBONE)
        net = stm.STM(request.param)
        shapes = jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32))
        yield STMPropagator(net, filled(shapes))


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 255, (SIZE[0] // 8 + 2, SIZE[1] // 8 + 2, 3))
    base = np.asarray(jax.image.resize(base, (SIZE[0] + 16, SIZE[1] + 16, 3), "linear"))
    base = base.astype(np.uint8)
    return np.stack([base[t : t + SIZE[0], t : t + SIZE[1]] for t in range(COUNT)])


def labels(*objects, shift=0):
    out = np.zeros(SIZE, np.uint8)
    for i, number in enumerate(objects):
        out[4 + shift : 20 + shift, 4 + 20 * i : 20 + 20 * i] = number
    return out


def session(propagator, frames, given):
    """Masks of all frames; `given` are the masks by frame number."""
    state = start(Engine(open_video(frames), PlainInteractor(), propagator, "tiny"))
    for frame, mask in given.items():
        for number in np.unique(mask[mask > 0]):
            state = step(state, Mask(frame, number, encode_rle(mask == number)))
    state = step(state, Propagate(min(given)))
    return np.stack([state.labels(frame) for frame in range(len(frames))])


def streamed(propagator, frames, given):
    predictor = StreamPredictor(lambda video: Engine(video, PlainInteractor(), propagator, "tiny"))
    return np.stack([predictor.step(frame, given.get(i)) for i, frame in enumerate(frames)])


def test_a_stream_has_the_masks_of_the_video(propagator, frames):
    assert isinstance(propagator, StreamPropagator)
    given = {0: labels(2, 5)}
    found, expected = (f(propagator, frames, given) for f in (streamed, session))
    np.testing.assert_array_equal(found, expected)
    assert set(np.unique(found[1:])) == {0, 2, 5}  # they are not simply lost


def test_frames_before_the_first_annotation_do_not_count(propagator, frames):
    given = {3: labels(2, 5)}
    found = streamed(propagator, frames, given)
    np.testing.assert_array_equal(found, session(propagator, frames, given))
    assert not found[:3].any()


@pytest.mark.parametrize("propagator", [INTERACTIVE], indirect=True)
def test_an_annotation_on_the_way(propagator, frames):
    """A video knows it from the start, a stream from there on."""
    given = {0: labels(2, 5), 4: labels(2, 5, shift=6)}
    found, expected = (f(propagator, frames, given) for f in (streamed, session))
    np.testing.assert_array_equal(found[4:], expected[4:])
    alone = session(propagator, frames, {0: labels(2, 5)})
    np.testing.assert_array_equal(found[:4], alone[:4])
    assert (found[5:] != alone[5:]).any()


def test_an_annotated_frame_keeps_its_mask(propagator, frames):
    given = {0: labels(5), 2: labels(2, shift=6), 4: labels(5)}
    found = streamed(propagator, frames[:5], given)
    for frame, mask in given.items():
        np.testing.assert_array_equal(found[frame][mask > 0], mask[mask > 0])


@pytest.mark.parametrize("propagator", [INTERACTIVE], indirect=True)
def test_removal_and_new_ids_move_what_is_known(propagator, frames):
    """Objects 2 and 4 after 1 is gone are as if it had never been annotated."""
    one, both = labels(0, 2), labels(1, 2)
    states = []
    for mask, numbers in ((both, (1, 2)), (one, (2,))):
        state, _ = propagator.stream(SIZE).step(frames[0], Annotation(mask, numbers))
        state = state.without([1])
        state, _ = state.step(frames[1], Annotation(labels(0, 0, shift=6), (4,)))
        states.append(state)
    assert states[0].objects == states[1].objects == (2, 4)
    a, b = (state.step(frames[2])[1] for state in states)
    np.testing.assert_allclose(a, b, atol=2e-4)


def test_what_is_held_does_not_grow(propagator, frames):
    predictor = StreamPredictor(lambda video: Engine(video, PlainInteractor(), propagator, "tiny"))

    def held():
        return sum(array.nbytes for array in jax.live_arrays())

    sizes = []
    for number in range(60):  # with more annotated frames than it or any cache has slots for
        mask = labels(1, 2, shift=number % 5) if number % 2 == 0 else None
        predictor.step(frames[number % COUNT], mask)
        sizes.append((held(), len(predictor._stream.kept)))
    assert len(set(sizes[40:])) == 1
    assert sizes[-1][1] == propagator.slots
    predictor.clear_memory()
    assert held() < sizes[-1][0]


def test_what_was_segmented_can_be_forgotten(propagator, frames):
    state, _ = propagator.stream(SIZE).step(frames[0], Annotation(labels(2, 5), (2, 5)))
    assert state.annotated_only().carried is not None
    for frame in frames[1:]:
        state, _ = state.step(frame)
    memory = state.annotated_only().carried[0]
    assert np.asarray(memory.valid).sum(1).tolist() == [1, 1]
    np.testing.assert_array_equal(np.asarray(memory.number)[np.asarray(memory.valid[0])], [0])
    assert state.step(frames[0])[0].annotated_only().without([2, 5]).carried is None


def test_the_oldest_that_is_not_needed_gives_way():
    def kept(*objects):
        return [Kept(i, i, frozenset(numbers)) for i, numbers in enumerate(objects)]

    one_two, one, two = {1, 2}, {1}, {2}
    assert _spare(kept(one, one_two, two), frozenset(two)).slot == 0
    assert _spare(kept(one, two, two), frozenset(two)).slot == 1  # only the first knows object 1
    assert _spare(kept(one, two), frozenset({3})).slot == 0  # none can be spared
    assert _spare(kept(one, set(), two), frozenset({3})).slot == 1  # its objects were removed
