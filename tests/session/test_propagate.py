"""Propagation in chunks against a plain loop over frames with lists as memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.models import MODELS, stm
from ivs_jax.models.stm import STM as STMNet
from ivs_jax.models.stm import STMConfig, labels_logits
from ivs_jax.session.propagate import CHUNK, STMPropagator, shrink, working_size
from ivs_jax.types import Annotation
from tests.tiny import BACKBONE, STM, STM_TWO_ENCODERS, filled, stm_network

SIZE, COUNT = (32, 48), 12
ODD = (29, 43)  # padded to 32 x 48: 1 row on top, 2 below, 2 columns on the left, 3 on the right
PUBLISHED = replace(STM_TWO_ENCODERS, clamp=True, every=3, capacity=9, short_side=64)
INTERACTIVE = replace(PUBLISHED, others=False, scribbles=True, annotated_only=True, capacity=2)


class Video:
    """Smooth random frames that drift."""

    path = "synthetic"

    def __init__(self, seed: int = 0, size: tuple[int, int] = SIZE):
        rng, self.size = np.random.default_rng(seed), size
        base = rng.uniform(0, 255, (SIZE[0] + 16, SIZE[1] + 16, 3)).astype(np.uint8)
        base = np.asarray(jax.image.resize(base[::8, ::8], base.shape, "linear"))
        self.frames = [base[t : t + size[0], t : t + size[1]] for t in range(COUNT)]

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> np.ndarray:
        return self.frames[index].astype(np.uint8)


def annotation(*objects, size=SIZE):
    labels = np.zeros(size, np.uint8)
    for i, number in enumerate(objects):
        labels[4:20, 4 + 20 * i : 20 + 20 * i] = number
    return Annotation(labels, objects)


def jitted(net, variables):
    """The methods of the network, compiled once for each number of frames in memory."""

    def apply(method):
        return jax.jit(lambda *args: net.apply(variables, *args, method=method))

    return [apply(method) for method in ("memorise", "query", "segment")]


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stm.BACKBONES, "tiny", BACKBONE)
        net, variables = stm_network(jax.random.key(0), replace(STM, working_side=max(SIZE)))
        yield net, STMPropagator(net, variables), jitted(net, variables)


def run(network, annotations, objects, frames, start=0):
    return dict(network[1].propagate(Video(), annotations, objects, frames, start=start))


def plain(network, annotations, objects, frames, start=0):
    """The loop: first frame + every 5th in the memory, masks of the frame before; no padding."""
    memorise, query, segment = network[2]
    video, out = Video(), {}

    def given(frame):
        labels = annotations[frame].labels
        return np.stack([labels == k for k in objects])[None].astype(np.float32)

    def image(frame):
        return jnp.asarray(video[frame][None], jnp.float32) / 255

    kept, masks = [memorise(image(start), given(start))], given(start)
    for step, frame in enumerate(frames, 1):
        keys, values = (jnp.stack([m[i] for m in kept], 2) for i in (0, 1))
        valid = jnp.ones(values.shape[:3], bool)
        logits = labels_logits(segment(query(image(frame)), keys, values, valid, masks))
        p = np.asarray(jax.nn.softmax(logits)[0])
        out[frame] = p
        masks = np.moveaxis(p[..., 1:], -1, 0)[None]
        if frame in annotations:
            masks = given(frame)
        if step % STM.every == 0:
            kept.append(memorise(image(frame), masks))
    return out


@pytest.mark.parametrize("frames", [range(1, COUNT), range(10, -1, -1)])
def test_chunks_equal_a_plain_loop(network, frames):
    start = 0 if frames[0] == 1 else 11
    annotations = {start: annotation(3)}
    got = run(network, annotations, (3,), frames, start)
    want = plain(network, annotations, (3,), frames, start)
    assert list(got) == list(frames) and len(got) > CHUNK
    for frame in frames:
        assert got[frame].shape == (*SIZE, 2)
        np.testing.assert_allclose(got[frame], want[frame], atol=2e-4)


def test_padding_of_objects_and_their_order_change_nothing(network):
    frames, annotations = range(1, 6), {0: annotation(1, 2)}
    two = run(network, annotations, (1, 2), frames)
    swapped = run(network, annotations, (2, 1), frames)
    three = run(network, {0: annotation(1, 2)._replace(objects=(1, 2))}, (1, 2, 9), frames)
    for frame in frames:
        np.testing.assert_allclose(swapped[frame][..., [0, 2, 1]], two[frame], atol=2e-4)
        np.testing.assert_allclose(three[frame][..., :3], two[frame], atol=2e-4)
        assert three[frame][..., 3].max() < 1e-6


def test_an_annotated_frame_on_the_way_is_memorised_as_given(network):
    late = annotation(1)
    late.labels[:] = np.roll(late.labels, 8, axis=1)
    annotations = {0: annotation(1), 3: late}
    got = run(network, annotations, (1,), range(1, 6))
    other = run(network, {0: annotation(1)}, (1,), range(1, 6))
    np.testing.assert_allclose(got[3][..., 1], late.labels == 1, atol=1e-6)
    assert not np.allclose(got[4], other[4], atol=1e-3)


def test_nothing_compiles_after_the_first_propagation(network, compilations):
    """Neither for another video of the same size nor for another span with more annotations."""
    propagator = network[1]
    list(propagator.propagate(Video(), {0: annotation(1)}, (1,), range(1, 4), start=0))
    with compilations() as compiled:
        again = propagator.propagate(Video(1), {2: annotation(5)}, (5,), range(3, 12), start=2)
        assert len(list(again)) == 9
        known = {frame: annotation(1) for frame in (0, 11, 5)}
        span = propagator.propagate(Video(), known, (1,), [4], start=5, previous={})
        assert len(list(span)) == 1
    assert compiled.count == 0


@pytest.fixture(scope="module")
def published():
    """A tiny network with the published rules and its jitted methods."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stm.BACKBONES, "tiny", BACKBONE)
        net = STMNet(PUBLISHED)
        shapes = jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32))
        yield net, filled(shapes)


@pytest.fixture(scope="module")
def interactive():
    """The same with the rules of STM-Interactive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stm.BACKBONES, "tiny", BACKBONE)
        net = STMNet(INTERACTIVE)
        shapes = jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32))
        yield net, filled(shapes)


class Direct:
    """Calls of a network on frames of `ODD` size, padded by hand."""

    def __init__(self, net, variables, video):
        self._memorise, self._query, self._segment = jitted(net, variables)
        self._video = video

    def _image(self, frame):
        return np.pad(self._video[frame].astype("f4") / 255, ((1, 2), (2, 3), (0, 0)))[None]

    def memorise(self, frame, *maps):
        """Key and value of masks `[K, H, W]` and, of a network that sees them, scribbles."""
        padded = [np.pad(np.asarray(x, "f4"), ((0, 0), (1, 2), (2, 3)))[None] for x in maps]
        return self._memorise(self._image(frame), *padded)

    def probabilities(self, frame, memory):
        """Published soft aggregation over 11 slots: `[11, H, W]` in float64."""
        keys, values = (jnp.stack([m[i] for m in memory], 2) for i in (0, 1))
        valid = jnp.ones(keys.shape[:3], bool)
        logits = self._segment(self._query(self._image(frame)), keys, values, valid)
        alone = 1 / (1 + np.exp(-np.asarray(logits, np.float64)[0, :, 1:-2, 2:-3]))
        p = np.zeros((11, *ODD))
        p[0] = np.prod(1 - alone, 0)
        p[1 : 1 + len(alone)] = alone
        odds = p.clip(1e-7, 1 - 1e-7)
        odds = odds / (1 - odds)
        return odds / odds.sum(0)


def test_published_rules_equal_the_published_loop(published):
    net, variables = published
    given, video = annotation(1, 2, size=ODD), Video(size=ODD)
    propagator, direct = STMPropagator(net, variables), Direct(net, variables, video)
    got = dict(propagator.propagate(video, {0: given}, (1, 2), range(1, 6), start=0))
    soft = {0: np.stack([given.labels == k for k in range(11)])}
    stored = []
    for t in range(1, 6):
        now = [*stored, direct.memorise(t - 1, soft[t - 1][1:3])]
        soft[t] = direct.probabilities(t, now)
        if (t - 1) % PUBLISHED.every == 0:
            stored = now
        want = np.moveaxis(soft[t][:3], 0, -1)
        assert got[t].shape == (*ODD, 3)
        np.testing.assert_allclose(got[t], want, atol=2e-4)
    assert 0.05 < np.std(got[5][..., 1])  # something was segmented


def test_interactive_memory_holds_the_nearest_annotated_frames_alone(interactive):
    net, variables = interactive
    video = Video(size=ODD)
    given = {frame: annotation(1, 2, size=ODD) for frame in (0, 3, 4)}
    for frame, mask in given.items():
        mask.labels[:] = np.roll(mask.labels, 2 * frame, axis=1)
    propagator, direct = STMPropagator(net, variables), Direct(net, variables, video)
    got = dict(propagator.propagate(video, given, (1, 2), range(4, 12), start=3))
    assert len(got) == 8
    nearest = [direct.memorise(t, np.stack([given[t].labels == k for k in (1, 2)])) for t in (3, 4)]
    for t in (5, 6, 11):
        want = np.moveaxis(direct.probabilities(t, nearest)[:3], 0, -1)
        np.testing.assert_allclose(got[t], want, atol=2e-4)
    np.testing.assert_array_equal(got[4][..., 1], given[4].labels == 1)


def test_interactive_memory_sees_the_strokes(interactive):
    net, variables = interactive
    video, scribbles = Video(size=ODD), np.full(ODD, 255, np.uint8)
    scribbles[9, 6:12], scribbles[10, 30:33], scribbles[25, 20] = 1, 2, 0
    given = annotation(1, 2, size=ODD)._replace(scribbles=scribbles)
    propagator, direct = STMPropagator(net, variables), Direct(net, variables, video)
    cross = ndimage.generate_binary_structure(2, 1)
    drawn = [ndimage.binary_dilation(scribbles == k, cross, iterations=2) for k in (0, 1, 2)]
    masks = np.stack([given.labels == k for k in (1, 2)])
    found, without = (
        dict(propagator.propagate(video, {0: known}, (1, 2), [1], start=0))[1]
        for known in (given, given._replace(scribbles=None))
    )
    want = np.moveaxis(direct.probabilities(1, [direct.memorise(0, masks, drawn)])[:3], 0, -1)
    np.testing.assert_allclose(found, want, atol=2e-4)
    assert np.abs(found - without).max() > 1e-3


def test_working_size_has_multiples_of_16_and_enlarges_small_videos():
    config = STMConfig(working_side=480)
    assert working_size((480, 854), config) == (272, 480)
    assert working_size((96, 160), config) == (288, 480)
    assert working_size((48, 64), config) == (192, 256)  # four times and no more
    assert working_size((10, 2000), config) == (16, 480)
    image = np.zeros((100, 60, 3), np.uint8)
    assert shrink(image, (32, 16)).shape == (32, 16, 3)


def test_the_published_working_size_shrinks_to_480_and_never_enlarges():
    config = STMConfig(short_side=480)
    assert working_size((480, 854), config) == (480, 854)
    assert working_size((1080, 1920), config) == (480, 853)
    assert working_size((1920, 1080), config) == (853, 480)
    assert working_size((360, 640), config) == (360, 640)
    assert MODELS["stm-resnet50"].config.short_side == 480
