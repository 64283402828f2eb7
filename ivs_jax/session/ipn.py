"""IPN in a session: clicks on a frame -> mask, and masks carried from frame to frame.

Frames are padded to a multiple of 128 and their size is an argument, so that few shapes are ever
compiled. One round: masks of earlier rounds and the aggregation of references play no part here.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.models.ipn import IPN, Segmented
from ivs_jax.ops.aggregate import aggregate
from ivs_jax.ops.distance import crosses
from ivs_jax.ops.padding import object_bucket, pad_below, padded_sides
from ivs_jax.refine.config import NO_REFINEMENT
from ivs_jax.session.click import FRAME_MULTIPLE, agreement
from ivs_jax.session.engine import Frames
from ivs_jax.types import Annotation, Array, Clicks, Interaction

CHUNK = 4  # frames are not shrunk, so a chunk of them is large


class IPNInteractor:
    """I-net, with clicks as small scribbles; satisfies `session.engine.Interactor`.

    Args:
      net, variables: the network; of its variables only I-net's are kept.
      refine: there is no refinement for IPN, so "NoBRS" alone.
      name, fingerprint: of the network, for reports.
    """

    def __init__(
        self,
        net: IPN,
        variables: Any,
        *,
        refine: str = NO_REFINEMENT,
        name: str = "ipn",
        fingerprint: str = "",
    ):
        if refine != NO_REFINEMENT:
            raise ValueError(f"{name} has no refinement, so refine {refine!r} must be NoBRS")
        self.name, self.refine, self.fingerprint = name, refine, fingerprint
        self.threshold = net.config.threshold
        self._variables = jax.device_put(
            {
                collection: {k: v for k, v in tree.items() if k.startswith("interaction")}
                for collection, tree in variables.items()
            }
        )
        self._interact = jax.jit(partial(_interact, net))

    def predict(
        self, image: np.ndarray, clicks: Clicks, previous: np.ndarray | None
    ) -> Interaction:
        """See `session.engine.Interactor`."""
        size = (image.shape[0], image.shape[1])
        sides = padded_sides(*size, FRAME_MULTIPLE)
        mask = np.zeros(size, np.float32) if previous is None else np.asarray(previous, np.float32)
        with CompileClock() as clock:
            began = time.perf_counter()
            found = self._interact(
                self._variables,
                pad_below(image, sides),
                pad_below(mask, sides),
                clicks,
                np.array(size),
            )
            probability = np.asarray(found)[: size[0], : size[1]]
            spent = time.perf_counter() - began
        seconds = {"compile": clock.seconds, "encode": max(0.0, spent - clock.seconds)}
        satisfied = agreement(probability, clicks, threshold=self.threshold)
        return Interaction(probability, 0, 0.0, satisfied, seconds)


class Steps(NamedTuple):
    """Inputs of one chunk, H and W padded.

    Attributes:
      frames: `[C, H, W, 3]` uint8.
      given: `[C, K, H, W]` bool masks that the user fixed.
      fixed: `[C, K]` bool, which objects are fixed on which frame.
    """

    frames: np.ndarray
    given: np.ndarray
    fixed: np.ndarray


class Carried(NamedTuple):
    """What goes from a frame to the next.

    Attributes:
      probability: `[K, H, W]` of each object alone, as P-net gave it.
      known: `[K]` bool, whether the object was on any frame so far; others have probability 0.
    """

    probability: Array
    known: Array


class IPNPropagator:
    """P-net, one object at a time; satisfies `session.engine.Propagator`.

    The reference of an object is I-net's on the annotated frame nearest to the start that shows
    it, with the annotation as the mask and no scribbles. An object that the start frame does not
    know is absent up to the first frame where it is annotated.
    """

    def __init__(self, net: IPN, variables: Any):
        self._variables = jax.device_put(variables)
        self._reference = jax.jit(partial(_reference, net))
        self._run = jax.jit(partial(_run_chunk, net))

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
        size, padded = np.array(video.size), padded_sides(*video.size, FRAME_MULTIPLE)
        bucket = object_bucket(len(objects))
        reference = self._references(video, annotations, objects, start, bucket)
        given, known = _masks(annotations[start], objects, padded, bucket)
        carried = Carried(given.astype(np.float32), known)
        for first in range(0, len(frames), CHUNK):
            chunk = list(frames[first : first + CHUNK])
            steps = _steps(video, annotations, objects, chunk, padded, bucket)
            carried, found = self._run(self._variables, reference, carried, steps, size)
            for i, frame in enumerate(chunk):
                yield frame, np.asarray(found[i])[: size[0], : size[1], : len(objects) + 1]

    def _references(
        self,
        video: Frames,
        annotations: Mapping[int, Annotation],
        objects: tuple[int, ...],
        start: int,
        bucket: int,
    ) -> Array:
        """Reference features of the objects, `[K, h, w, C]`; 0 in slots without object."""
        size, padded = np.array(video.size), padded_sides(*video.size, FRAME_MULTIPLE)
        reference: Any = 0.0
        for frame, wanted in _sources(annotations, objects, start).items():
            masks, _ = _masks(annotations[frame], objects, padded, bucket)
            chosen = np.isin(np.arange(bucket), [objects.index(number) for number in wanted])
            image = pad_below(video[frame], padded)
            found = self._reference(self._variables, image, masks, size)
            reference += jnp.where(chosen[:, None, None, None], found, 0)
        return reference


def _sources(
    annotations: Mapping[int, Annotation], objects: tuple[int, ...], start: int
) -> dict[int, list[int]]:
    """Frames to take references from, and the objects each of them is for."""
    shown: dict[int, set[int]] = {}
    for frame, annotation in annotations.items():
        shown[frame] = set(np.unique(annotation.labels)) & set(annotation.objects)
    found: dict[int, list[int]] = {}
    for number in objects:
        frames = [frame for frame in shown if number in shown[frame]] or [start]
        nearest = min(frames, key=lambda frame: (abs(frame - start), frame))
        found.setdefault(nearest, []).append(number)
    return found


def _masks(
    annotation: Annotation, objects: tuple[int, ...], padded: tuple[int, int], bucket: int
) -> tuple[np.ndarray, np.ndarray]:
    """Masks `[K, H, W]` bool and which objects the annotation knows `[K]`."""
    masks, known = np.zeros((bucket, *padded), bool), np.zeros(bucket, bool)
    for i, number in enumerate(objects):
        if number in annotation.objects:
            masks[i], known[i] = pad_below(annotation.labels == number, padded), True
    return masks, known


def _steps(
    video: Frames,
    annotations: Mapping[int, Annotation],
    objects: tuple[int, ...],
    chunk: list[int],
    padded: tuple[int, int],
    bucket: int,
) -> Steps:
    """Reads a chunk; a short last one repeats its last frame, whose results nobody reads."""
    given = np.zeros((CHUNK, bucket, *padded), bool)
    fixed = np.zeros((CHUNK, bucket), bool)
    for i, frame in enumerate(chunk):
        if frame in annotations:
            given[i], fixed[i] = _masks(annotations[frame], objects, padded, bucket)
    images = [pad_below(video[frame], padded) for frame in chunk]
    images += images[-1:] * (CHUNK - len(chunk))
    return Steps(np.stack(images), given, fixed)


def _interact(
    net: IPN, variables: Any, image: Array, mask: Array, clicks: Clicks, size: Array
) -> Array:
    """Probability `[H, W]` of the object; pure."""
    maps = crosses(clicks, (mask.shape[0], mask.shape[1]))[None]
    found = _segmented(
        net, variables, "interact", _frame(image), mask[None], maps[..., 0], maps[..., 1], size
    )
    return found.probability[0]


def _reference(net: IPN, variables: Any, image: Array, masks: Array, size: Array) -> Array:
    """I-net's reference features `[K, h, w, C]` of objects with masks `[K, H, W]`."""
    frame, none = _frame(image), jnp.zeros((1, *masks.shape[1:]))

    def one(mask: Array) -> Array:
        found = _segmented(net, variables, "interact", frame, mask[None], none, none, size)
        return found.features[0]

    return jax.vmap(one)(masks.astype(jnp.float32))


def _run_chunk(
    net: IPN, variables: Any, reference: Array, carried: Carried, steps: Steps, size: Array
) -> tuple[Carried, Array]:
    """Segments a chunk; returns what is carried on and label probabilities `[C, H, W, K + 1]`."""
    none = jnp.zeros((1, *carried.probability.shape[1:]))

    def body(carried: Carried, step: Steps) -> tuple[Carried, Array]:
        frame = _frame(step.frames)

        def one(reference: Array, neighbour: Array) -> Array:
            near = (jnp.round(neighbour) if net.config.rounded else neighbour)[None]
            found = _segmented(
                net, variables, "propagate", reference[None], frame, none, near, size
            )
            return found.probability[0]

        alone = jax.vmap(one)(reference, carried.probability)
        fixed, known = step.fixed[:, None, None], carried.known | step.fixed
        taken = jnp.any(fixed & step.given, 0)
        free = known[:, None, None] & ~taken[None]
        given = step.given.astype(jnp.float32)
        probability = jnp.where(fixed, given, jnp.where(free, alone, 0))
        labels = jax.nn.softmax(aggregate(jnp.moveaxis(probability, 0, -1)))
        return Carried(probability, known), labels

    return jax.lax.scan(body, carried, steps)


def _segmented(net: IPN, variables: Any, method: str, *inputs: Array) -> Segmented:
    found: Any = net.apply(variables, *inputs, method=method)
    return found


def _frame(image: Array) -> Array:
    return image[None].astype(jnp.float32) / 255
