"""Chunks of a video, and the steps that only fill the last one."""

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.session.chunks import View, combined, read_chunks, scan_chunk
from ivs_jax.types import Annotation

SIZE = (4, 6)


class Video:
    """Remembers which frames were read; every pixel of a frame is its number."""

    path, size = "synthetic", SIZE

    def __init__(self):
        self.read = []

    def __len__(self):
        return 20

    def __getitem__(self, index):
        self.read.append(index)
        return np.full((*SIZE, 3), index, np.uint8)


def view(objects, bucket):
    """Half the size: every second pixel."""
    return View((2, 3), objects, bucket, lambda x: x[::2, ::2], lambda x: x[::2, ::2])


def test_chunks_hold_what_is_known_and_read_no_frame_twice_or_too_early():
    labels = np.zeros(SIZE, np.uint8)
    labels[:2], labels[2:] = 7, 3
    video, annotations = Video(), {8: Annotation(labels, (3, 5))}
    chunks = read_chunks(video, annotations, range(9, 4, -1), view((3, 7), 4), 3)
    numbers, chunk = next(chunks)
    assert numbers == video.read == [9, 8, 7]
    assert chunk.frames[:, 0, 0, 0].tolist() == [9, 8, 7]
    assert chunk.number.tolist() == [1, 2, 3] and chunk.real.all()
    assert chunk.fixed.tolist() == [[False] * 4, [True, False, False, False], [False] * 4]
    np.testing.assert_array_equal(chunk.given[1, 0], [[0, 0, 0], [1, 1, 1]])
    assert not chunk.given[[0, 2]].any() and not chunk.given[1, 1:].any()
    numbers, chunk = next(chunks)
    assert numbers == [6, 5] and video.read == [9, 8, 7, 6, 5]
    assert chunk.number.tolist() == [4, 5, 6] and chunk.real.tolist() == [True, True, False]
    assert next(chunks, None) is None


def test_steps_that_are_not_real_change_nothing_and_are_not_computed():
    computed = []

    def step(total, at, extra):
        jax.debug.callback(lambda number: computed.append(int(number)), at.number)
        return total + at.number * extra, {"total": total, "frame": at.frames[0, 0]}

    _, chunk = next(read_chunks(Video(), {}, [3, 4], view((1,), 1), 5))
    run = jax.jit(lambda *args: scan_chunk(step, *args))
    total, answers = run(jnp.int32(10), chunk, jnp.arange(5, dtype=jnp.int32) + 2)
    jax.effects_barrier()
    assert total == 10 + 1 * 2 + 2 * 3 and computed == [1, 2]
    assert answers["total"].tolist() == [10, 12, 0, 0, 0]
    assert answers["frame"].dtype == np.uint8
    assert answers["frame"][:, 0].tolist() == [3, 4, 0, 0, 0]


def test_fixed_masks_hold_and_take_their_pixels_from_the_others():
    rng = np.random.default_rng(0)
    alone, given = rng.random((2, 3, 2, 2)).astype(np.float32)
    fixed, known = np.array([False, True, False]), np.array([True, True, False])
    found = combined(alone, given, fixed, known)
    np.testing.assert_array_equal(found[1], given[1])
    np.testing.assert_allclose(found[0], alone[0] * (1 - given[1]), rtol=1e-6)
    assert not found[2].any()
    nothing = np.zeros(3, bool)
    np.testing.assert_array_equal(combined(alone, given, nothing, ~nothing), alone)
