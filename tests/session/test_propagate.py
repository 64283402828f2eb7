"""Propagation in chunks against a plain loop over frames with lists as memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models import stm
from ivs_jax.models.stm import labels_logits
from ivs_jax.session.propagate import CHUNK, STMPropagator, shrink, working_size
from ivs_jax.types import Annotation
from tests.tiny import BACKBONE, STM, stm_network

SIZE, COUNT = (32, 48), 12


class Video:
    """Smooth random frames that drift."""

    path, size = "synthetic", SIZE

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        base = rng.uniform(0, 255, (SIZE[0] + 16, SIZE[1] + 16, 3)).astype(np.uint8)
        base = np.asarray(jax.image.resize(base[::8, ::8], base.shape, "linear"))
        self.frames = [base[t : t + SIZE[0], t : t + SIZE[1]] for t in range(COUNT)]

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> np.ndarray:
        return self.frames[index].astype(np.uint8)


def annotation(*objects):
    labels = np.zeros(SIZE, np.uint8)
    for i, number in enumerate(objects):
        labels[4:20, 4 + 20 * i : 20 + 20 * i] = number
    return Annotation(labels, objects)


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stm.BACKBONES, "tiny", BACKBONE)
        net, variables = stm_network(jax.random.key(0))
        yield net, variables, STMPropagator(net, variables)


def run(network, annotations, objects, frames, start=0):
    return dict(network[2].propagate(Video(), annotations, objects, frames, start=start))


def plain(network, annotations, objects, frames, start=0):
    """STM's published loop: first + every 5th + previous, nothing padded."""
    net, variables, _ = network
    video, out = Video(), {}

    def apply(method):
        return jax.jit(lambda *args: net.apply(variables, *args, method=method))

    memorise, query, segment = apply("memorise"), apply("query"), apply("segment")

    def given(frame):
        labels = annotations[frame].labels
        return np.stack([labels == k for k in objects])[None].astype(np.float32)

    def image(frame):
        return jnp.asarray(video[frame][None], jnp.float32) / 255

    kept = [memorise(image(start), given(start))]
    previous = []
    for step, frame in enumerate(frames, 1):
        keys, values = (jnp.stack([m[i] for m in kept + previous], 2) for i in (0, 1))
        valid = jnp.ones(keys.shape[:3], bool)
        logits = labels_logits(segment(query(image(frame)), keys, values, valid))
        p = np.asarray(jax.nn.softmax(logits)[0])
        out[frame] = p
        masks = np.moveaxis(p[..., 1:], -1, 0)[None]
        if frame in annotations:
            masks = given(frame)
        entry = [memorise(image(frame), masks)]
        kept, previous = (kept + entry, []) if step % STM.every == 0 else (kept, entry)
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


def test_nothing_compiles_for_another_video_of_the_same_size(network, compilations):
    propagator = network[2]
    list(propagator.propagate(Video(), {0: annotation(1)}, (1,), range(1, 4), start=0))
    with compilations() as compiled:
        again = propagator.propagate(Video(1), {2: annotation(5)}, (5,), range(3, 12), start=2)
        assert len(list(again)) == 9
    assert compiled.count == 0


def test_working_size_keeps_multiples_of_16_and_small_videos():
    assert working_size((480, 854), 480) == (272, 480)
    assert working_size((48, 64), 480) == (48, 64)
    assert working_size((10, 2000), 480) == (16, 480)
    image = np.zeros((100, 60, 3), np.uint8)
    assert shrink(image, (32, 16)).shape == (32, 16, 3)
