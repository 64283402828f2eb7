"""Propagation with a space-time memory: `lax.scan` over chunks of frames.

A chunk has a fixed number of frames, so a video of any length runs one compiled program; between
chunks the caller sees the results and may stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image

from ivs_jax.models.stm import STM, STRIDE, STMConfig, labels_logits
from ivs_jax.ops.padding import object_bucket, pad_image, padded_sides, unpad_image
from ivs_jax.ops.resize import resize
from ivs_jax.session.engine import Frames
from ivs_jax.session.memory import (
    Memory,
    annotated_slots,
    empty_memory,
    keep_annotated,
    remember,
)
from ivs_jax.types import Annotation

CHUNK = 8


class Steps(NamedTuple):
    """Inputs of one chunk.

    Attributes:
      frames: `[C, h, w, 3]` uint8 at the working size.
      given: `[C, K, h, w]` float32 masks that the user fixed.
      fixed: `[C, K]` bool, which objects are fixed on which frame.
      number: `[C]` int32, distance from the start frame.
    """

    frames: np.ndarray
    given: np.ndarray
    fixed: np.ndarray
    number: np.ndarray


class STMPropagator:
    """Carries masks through a video; satisfies `session.engine.Propagator`.

    STM memorises the frames it has segmented. STM-Interactive (`annotated_only` of the config)
    reads only frames that the user annotated, and the start frame, whose masks the user carries on;
    those nearest to the start where more are annotated than fit.
    """

    def __init__(self, net: STM, variables: Any):
        self._net, self._variables = net, jax.device_put(variables)
        self._annotate = jax.jit(partial(_annotate, net))
        self._run = jax.jit(partial(_run_chunk, net))
        self._enlarge = jax.jit(_enlarge, static_argnums=1)

    def propagate(
        self,
        video: Frames,
        annotations: Mapping[int, Annotation],
        objects: tuple[int, ...],
        frames: Sequence[int],
        *,
        start: int,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """See `session.engine.Propagator`."""
        size = working_size(video.size, self._net.config)
        bucket = object_bucket(len(objects))
        memory = self._first_memory(video, annotations, objects, start, size, bucket)
        for first in range(0, len(frames), CHUNK):
            chunk = list(frames[first : first + CHUNK])
            steps = _steps(video, annotations, objects, chunk, first, size, bucket)
            memory, small = self._run(self._variables, memory, steps)
            for i, frame in enumerate(chunk):
                yield frame, np.asarray(self._enlarge(small[i, : len(objects)], video.size))

    def _first_memory(
        self,
        video: Frames,
        annotations: Mapping[int, Annotation],
        objects: tuple[int, ...],
        start: int,
        size: tuple[int, int],
        bucket: int,
    ) -> Memory:
        config = self._net.config
        height, width = padded_sides(*size, STRIDE)
        grid, widths = (height // STRIDE, width // STRIDE), (config.key, config.value)
        only = config.annotated_only
        memory = empty_memory(bucket, config.capacity, grid, widths, annotated_only=only)
        nearest = sorted(annotations, key=lambda frame: abs(frame - start))
        for frame in nearest[: annotated_slots(config.capacity, annotated_only=only)]:
            masks, known = _masks(annotations[frame], objects, size, bucket)
            image = shrink(video[frame], size)
            memory = self._annotate(self._variables, memory, image, masks, known)
        return memory


def working_size(size: tuple[int, int], config: STMConfig) -> tuple[int, int]:
    """(H, W) to which the frames of a video of `size` are brought; larger ones shrink.

    The published rule leaves any size, which is then padded; ours gives multiples of 16.
    """
    if config.short_side is not None:
        scale = min(1.0, config.short_side / min(size))
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    scale = min(1.0, config.working_side / max(size))
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


def _masks(
    annotation: Annotation, objects: tuple[int, ...], size: tuple[int, int], bucket: int
) -> tuple[np.ndarray, np.ndarray]:
    """Soft masks `[K, h, w]` float32 at the working size and which objects are known `[K]`."""
    masks, known = np.zeros((bucket, *size), np.float32), np.zeros(bucket, bool)
    for i, number in enumerate(objects):
        if number in annotation.objects:
            full = Image.fromarray((annotation.labels == number).astype(np.float32), "F")
            masks[i] = np.asarray(full.resize(size[::-1], Image.Resampling.BILINEAR))
            known[i] = True
    return masks, known


def _steps(
    video: Frames,
    annotations: Mapping[int, Annotation],
    objects: tuple[int, ...],
    chunk: list[int],
    first: int,
    size: tuple[int, int],
    bucket: int,
) -> Steps:
    """Reads a chunk; a short last one repeats its last frame, whose results nobody reads."""
    given = np.zeros((CHUNK, bucket, *size), np.float32)
    fixed = np.zeros((CHUNK, bucket), bool)
    for i, frame in enumerate(chunk):
        if frame in annotations:
            given[i], fixed[i] = _masks(annotations[frame], objects, size, bucket)
    images = [shrink(video[frame], size) for frame in chunk]
    images += images[-1:] * (CHUNK - len(chunk))
    return Steps(
        np.stack(images), given, fixed, np.arange(first + 1, first + CHUNK + 1, dtype="i4")
    )


def _annotate(
    net: STM, variables: Any, memory: Memory, image: Array, masks: Array, known: Array
) -> Memory:
    encoded: Any = net.apply(variables, _frame(image), _padded(masks), method="memorise")
    return keep_annotated(memory, encoded[0][0], encoded[1][0], known)


def _run_chunk(net: STM, variables: Any, memory: Memory, steps: Steps) -> tuple[Memory, Array]:
    """Segments a chunk; returns the memory and object probabilities `[C, K, h, w]`."""

    def body(memory: Memory, step: Steps) -> tuple[Memory, Array]:
        frame = _frame(step.frames)
        query: Any = net.apply(variables, frame, method="query")
        alone: Any = net.apply(
            variables,
            query,
            memory.keys[None],
            memory.values[None],
            memory.valid[None],
            method="segment",
        )
        alone = unpad_image(alone[..., None], step.frames.shape[:2])[..., 0]
        soft = jax.nn.softmax(labels_logits(alone, clamp=net.config.clamp)[0])[..., 1:]
        fixed = step.fixed[:, None, None]
        taken = jnp.max(jnp.where(fixed, step.given, 0), 0)
        masks = jnp.where(fixed, step.given, jnp.moveaxis(soft, -1, 0) * (1 - taken)[None])
        if net.config.annotated_only:
            return memory, masks
        encoded: Any = net.apply(variables, frame, _padded(masks), method="memorise")
        known = jnp.any(memory.valid, 1) | step.fixed
        keep = step.number % net.config.every == 0
        return remember(memory, encoded[0][0], encoded[1][0], known, keep), masks

    return jax.lax.scan(body, memory, steps)


def _frame(image: Array | np.ndarray) -> Array:
    """uint8 `[h, w, 3]` to `[1, H, W, 3]` in [0, 1] with multiples of 16, zero-padded (STM)."""
    size = padded_sides(image.shape[0], image.shape[1], STRIDE)
    return pad_image(jnp.asarray(image, jnp.float32) / 255, size)[None]


def _padded(masks: Array) -> Array:
    """Masks `[K, h, w]` to `[1, K, H, W]`, padded like their frame."""
    size = padded_sides(masks.shape[1], masks.shape[2], STRIDE)
    return pad_image(masks[..., None], size)[None, ..., 0]


def _enlarge(masks: Array, size: tuple[int, int]) -> Array:
    """Object masks `[K, h, w]` to probabilities `[H, W, K + 1]` at `size`, background first."""
    objects = resize(jnp.moveaxis(masks, 0, -1), size)
    background = jnp.clip(1 - jnp.sum(objects, -1, keepdims=True), 0, 1)
    return jnp.concatenate([background, objects], -1)
