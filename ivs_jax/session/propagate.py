"""Propagation with a space-time memory (STM): `lax.scan` over chunks of frames.

Between chunks the caller sees the results and may stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image
from scipy.ndimage import binary_dilation

from ivs_jax.models.stm import MOST_ENLARGED, STM, STRIDE, STMConfig, labels_logits
from ivs_jax.ops.padding import object_bucket, pad_image, padded_sides, unpad_image
from ivs_jax.ops.resize import resize
from ivs_jax.session.chunks import Chunk, View, combined, read_chunks, scan_chunk
from ivs_jax.session.engine import Frames
from ivs_jax.session.memory import (
    Memory,
    annotated_slots,
    empty_memory,
    keep_annotated,
    keep_segmented,
    remember,
)
from ivs_jax.session.recent import Recent
from ivs_jax.session.stream import Carried, STMStream
from ivs_jax.types import Annotation

CHUNK = 8
REMEMBERED = 16  # annotated frames; at 480 x 854 an object of one takes 4 MB as published


class STMPropagator:
    """Carries masks through a video; satisfies `session.engine.Propagator`.

    All annotated frames are in the memory, those nearest to the start where more are annotated than
    fit, and the start frame, whose masks the user carries on. STM memorises the frames it has
    segmented too; STM-Interactive (`annotated_only` of the config) does not, and sees the strokes
    on annotated frames. What earlier rounds said plays no part in either.
    """

    def __init__(self, net: STM, variables: Any):
        self.config, self._variables = net.config, jax.device_put(variables)
        self._memorise = jax.jit(partial(_memorise, net))
        self._keep = jax.jit(keep_annotated)
        self._found = Recent[tuple[Array, Array]](REMEMBERED)
        self._run = jax.jit(partial(_run_chunk, net))
        self._enlarge = jax.jit(_enlarge, static_argnums=(2, 3))

    def propagate(
        self,
        video: Frames,
        annotations: Mapping[int, Annotation],
        objects: tuple[int, ...],
        frames: Sequence[int],
        *,
        start: int,
        previous: Mapping[int, np.ndarray] | None = None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """See `session.engine.Propagator`."""
        view = self.view(video.size, objects)
        ahead = frames[0] > start
        memory = self._first_memory(video, annotations, start, view, ahead=ahead)
        carried: Carried = memory, jnp.asarray(view.known(annotations[start])[0])
        for numbers, chunk in read_chunks(video, annotations, frames, view, CHUNK):
            carried, small = self.advance(carried, chunk)
            for i, frame in enumerate(numbers):
                yield frame, self.enlarged(small, i, video.size, len(objects))

    def stream(self, size: tuple[int, int]) -> STMStream:
        """See `session.engine.StreamPropagator`."""
        return STMStream(self, size)

    def view(self, size: tuple[int, int], objects: tuple[int, ...]) -> View:
        """How the network sees frames of `size` (H, W)."""
        small = working_size(size, self.config)
        bucket = object_bucket(len(objects))
        return View(small, objects, bucket, lambda x: shrink(x, small), lambda x: _soft(x, small))

    def _first_memory(
        self,
        video: Frames,
        annotations: Mapping[int, Annotation],
        start: int,
        view: View,
        *,
        ahead: bool,
    ) -> Memory:
        memory = self.empty(view)
        nearest = sorted(annotations, key=lambda frame: abs(frame - start))
        for frame in nearest[: self.slots]:
            number = frame - start if ahead else start - frame
            encoded = self.memorise(video[frame], annotations[frame], view)
            memory = self._keep(memory, *encoded, np.int32(number))
        return memory

    @property
    def slots(self) -> int:
        """How many annotated frames the memory holds."""
        config = self.config
        return annotated_slots(
            config.capacity, previous=config.keeps_previous, annotated_only=config.annotated_only
        )

    def empty(self, view: View) -> Memory:
        """Memory without frames for the objects of `view`."""
        config = self.config
        height, width = padded_sides(*view.size, STRIDE)
        return empty_memory(
            view.bucket,
            config.capacity,
            (height // STRIDE, width // STRIDE),
            (config.key, config.value_width),
            shared_key=config.shared_key,
            previous=config.keeps_previous,
        )

    def memorise(
        self, image: np.ndarray, annotation: Annotation, view: View
    ) -> tuple[Array, Array, np.ndarray]:
        """Key and value of an annotated frame, and the objects that it knows, `[K]` bool."""
        masks, known = view.known(annotation)
        inputs = [view.image(image), masks]
        if self.config.scribbles:
            inputs.append(_strokes(annotation, view))
        return (*self._of(*inputs), known)

    def advance(self, carried: Carried, chunk: Chunk) -> tuple[Carried, Array]:
        """Segments a chunk of any length; masks `[C, K, h, w]`. Each length is compiled once."""
        found: tuple[Carried, Array] = self._run(self._variables, carried, chunk)
        return found

    def enlarged(self, masks: Array, index: int, size: tuple[int, int], count: int) -> np.ndarray:
        """Probabilities `[H, W, count + 1]` of frame `index` of a chunk, background first."""
        return np.asarray(self._enlarge(masks, index, size, count))

    def _of(self, *inputs: np.ndarray) -> tuple[Array, Array]:
        """Key and value of an annotated frame."""
        return self._found.get(inputs, lambda: self._memorise(self._variables, *inputs))


def working_size(size: tuple[int, int], config: STMConfig) -> tuple[int, int]:
    """(H, W) to which the frames of a video of `size` are brought.

    The published rule leaves smaller ones, which are then padded; ours gives multiples of 16 and
    enlarges them, because objects of a few positions are lost.
    """
    if config.short_side is not None:
        scale = min(1.0, config.short_side / min(size))
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    scale = min(MOST_ENLARGED, config.working_side / max(size))
    return (
        max(STRIDE, STRIDE * round(size[0] * scale / STRIDE)),
        max(STRIDE, STRIDE * round(size[1] * scale / STRIDE)),
    )


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 `[H, W, 3]` to `size` = (h, w), antialiased."""
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized)


def _soft(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 `[H, W]` to `size` = (h, w), antialiased: in between where pixels are shared."""
    if mask.shape == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.BILINEAR))


def _strokes(annotation: Annotation, view: View) -> np.ndarray:
    """What was drawn on a frame, `[K + 1, h, w]` float32, background first; 0 if nothing was."""
    out = np.zeros((view.bucket + 1, *view.size), np.float32)
    drawn = annotation.scribbles
    for i, number in enumerate((0, *view.objects) if drawn is not None else ()):
        thick = binary_dilation(drawn == number, iterations=2)  # by a 3 x 3 cross
        out[i] = view.mask(thick.astype(np.float32))
    return out


def _memorise(
    net: STM, variables: Any, image: Array, masks: Array, strokes: Array | None = None
) -> tuple[Array, Array]:
    """Key and value `[K, h, w, c]` of a frame with masks and, if the network sees them, strokes."""
    drawn = None if strokes is None else _padded(strokes)
    encoded: Any = net.apply(variables, _frame(image), _padded(masks), drawn, method="memorise")
    return encoded[0][0], encoded[1][0]


def _run_chunk(net: STM, variables: Any, carried: Carried, chunk: Chunk) -> tuple[Carried, Array]:
    """Segments a chunk; returns what is carried on and object probabilities `[C, K, h, w]`."""
    config = net.config

    def step(carried: Carried, at: Chunk) -> tuple[Carried, Array]:
        memory, before = carried
        frame = _frame(at.frames)
        query: Any = net.apply(variables, frame, method="query")
        stored = memory.keys[None], memory.values[None], memory.valid[None]
        seen = (_padded(before),) if config.previous else ()
        alone: Any = net.apply(variables, query, *stored, *seen, method="segment")
        alone = unpad_image(alone[..., None], at.frames.shape[:2])[..., 0]
        soft = jax.nn.softmax(labels_logits(alone, clamp=config.clamp)[0])[..., 1:]
        known = jnp.any(memory.valid, 1) | at.fixed
        masks = combined(jnp.moveaxis(soft, -1, 0), at.given, at.fixed, known)
        memory = _memory_after(net, variables, memory, frame, query, masks, known, at.number)
        return (memory, masks), masks

    return scan_chunk(step, carried, chunk)


def _memory_after(
    net: STM,
    variables: Any,
    memory: Memory,
    frame: Array,
    query: Any,
    masks: Array,
    known: Array,
    number: Any,
) -> Memory:
    """The memory after a frame `[1, H, W, 3]` was segmented; see `session.memory`."""
    config = net.config
    if config.annotated_only:
        return memory
    keep, padded = number % config.every == 0, _padded(masks)
    if config.keeps_previous:
        encoded: Any = net.apply(variables, frame, padded, method="memorise")
        return remember(memory, encoded[0][0], encoded[1][0], known, number, keep)

    def kept(memory: Memory) -> Memory:
        encoded: Any = net.apply(variables, query, padded, method="memorise_query")
        return keep_segmented(memory, encoded[0][0], encoded[1][0], known, number)

    return jax.lax.cond(keep, kept, lambda memory: memory, memory)


def _frame(image: Array | np.ndarray) -> Array:
    """uint8 `[h, w, 3]` to `[1, H, W, 3]` in [0, 1] with multiples of 16, zero-padded (STM)."""
    size = padded_sides(image.shape[0], image.shape[1], STRIDE)
    return pad_image(jnp.asarray(image, jnp.float32) / 255, size)[None]


def _padded(masks: Array) -> Array:
    """Masks `[K, h, w]` to `[1, K, H, W]`, padded like their frame."""
    size = padded_sides(masks.shape[1], masks.shape[2], STRIDE)
    return pad_image(masks[..., None], size)[None, ..., 0]


def _enlarge(masks: Array, index: int, size: tuple[int, int], count: int) -> Array:
    """Probabilities `[H, W, count + 1]` at `size` from the first masks of `[C, K, h, w][index]`."""
    objects = resize(jnp.moveaxis(masks[index, :count], 0, -1), size)
    background = jnp.clip(1 - jnp.sum(objects, -1, keepdims=True), 0, 1)
    return jnp.concatenate([background, objects], -1)
