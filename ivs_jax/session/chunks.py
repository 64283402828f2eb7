"""A video in chunks of a fixed number of frames, so that any number of frames runs one program.

What is known about the frames of a chunk comes with them. The last chunk is filled up with steps
that are not `real`; `scan_chunk` skips them, so time follows the number of frames.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.session.engine import Frames
from ivs_jax.types import Annotation, Array


class View(NamedTuple):
    """How a network sees a video.

    Attributes:
      size: (h, w) of frames and masks as the network gets them.
      objects: ids of the objects, ascending.
      bucket: K, number of slots for objects, at least as many as there are.
      image: frame `[H, W, 3]` uint8 -> `[h, w, 3]` uint8.
      mask: mask `[H, W]` float32 in [0, 1] -> `[h, w]` float32.
    """

    size: tuple[int, int]
    objects: tuple[int, ...]
    bucket: int
    image: Callable[[np.ndarray], np.ndarray]
    mask: Callable[[np.ndarray], np.ndarray]

    def known(self, annotation: Annotation) -> tuple[np.ndarray, np.ndarray]:
        """Masks `[K, h, w]` float32 and which objects the annotation knows, `[K]` bool."""
        masks = np.zeros((self.bucket, *self.size), np.float32)
        known = np.zeros(self.bucket, bool)
        for i, number in enumerate(self.objects):
            if number in annotation.objects:
                masks[i] = self.mask((annotation.labels == number).astype(np.float32))
                known[i] = True
        return masks, known


class Chunk(NamedTuple):
    """C frames, or one of them where the axis C is scanned.

    Attributes:
      frames: `[C, h, w, 3]` uint8.
      given: `[C, K, h, w]` float32 masks that the user fixed.
      fixed: `[C, K]` bool, which objects are fixed on which frame.
      number: `[C]` int32, how many steps from the start frame, from 1.
      real: `[C]` bool, False for steps that only fill the chunk.
    """

    frames: np.ndarray
    given: np.ndarray
    fixed: np.ndarray
    number: np.ndarray
    real: np.ndarray


def read_chunks(
    video: Frames,
    annotations: Mapping[int, Annotation],
    frames: Sequence[int],
    view: View,
    length: int,
) -> Iterator[tuple[list[int], Chunk]]:
    """Reads `frames` in chunks of `length`, lazily: the frame numbers and the `Chunk` of each."""
    for first in range(0, len(frames), length):
        numbers = list(frames[first : first + length])
        images = np.zeros((length, *view.size, 3), np.uint8)
        given = np.zeros((length, view.bucket, *view.size), np.float32)
        fixed = np.zeros((length, view.bucket), bool)
        for i, frame in enumerate(numbers):
            images[i] = view.image(video[frame])
            if frame in annotations:
                given[i], fixed[i] = view.known(annotations[frame])
        steps = np.arange(length, dtype=np.int32)
        yield numbers, Chunk(images, given, fixed, first + 1 + steps, steps < len(numbers))


def scan_chunk(step: Callable[..., Any], carried: Any, chunk: Chunk, *inputs: Any) -> Any:
    """`lax.scan` of `step(carried, chunk, *inputs) -> (carried, answer)` over the real steps.

    `inputs` are arrays `[C, ...]` beside the chunk. A step that is not real costs nothing: it
    carries on what it was given and answers 0.
    """

    def body(carried: Any, at: Any) -> Any:
        shapes = jax.eval_shape(step, carried, *at)[1]

        def skip(carried: Any, *at: Any) -> tuple[Any, Any]:
            zeros: Any = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
            return carried, zeros

        return jax.lax.cond(at[0].real, step, skip, carried, *at)

    return jax.lax.scan(body, carried, (chunk, *inputs))


def combined(alone: Array, given: Array, fixed: Array, known: Array) -> jax.Array:
    """Masks `[K, h, w]` of a frame from a network's and those that the user fixed there.

    `alone`, `given` `[K, h, w]`; `fixed`, `known` `[K]` bool. A fixed object has its given mask,
    the others what that leaves them; an object that is not known is not there.
    """
    held = jnp.where(fixed[:, None, None], given, 0)
    free = jnp.where(known[:, None, None], alone, 0) * (1 - jnp.max(held, 0))[None]
    return jnp.where(fixed[:, None, None], held, free)
