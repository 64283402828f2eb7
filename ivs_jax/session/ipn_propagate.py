"""Propagation by IPN: P-net carries masks from frame to frame, round after round.

Frames are padded to a multiple of 128 and their size is an argument, so that few shapes are ever
compiled.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.interaction.strokes import NOTHING, near, signed, stroke_maps
from ivs_jax.models.ipn import IPN, Segmented
from ivs_jax.ops.aggregate import aggregate
from ivs_jax.ops.padding import object_bucket, pad_below, padded_sides
from ivs_jax.session.chunks import Chunk, View, combined, read_chunks, scan_chunk
from ivs_jax.session.click import FRAME_MULTIPLE
from ivs_jax.session.engine import Frames
from ivs_jax.session.recent import Recent
from ivs_jax.types import Annotation, Array

CHUNK = 4  # frames are not shrunk, so a chunk of them is large
REMEMBERED = 64  # references, half a megabyte each: 8 rounds with 8 objects


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

    The reference of an object is aggregated over all annotated frames that show it, in the order of
    rounds: I-net's on each, with the annotation as the mask and, where the config says so, with the
    strokes. The start frame comes last, be the mask marked or carried there. An object that the
    start frame does not know is absent up to the first frame where it is annotated.
    """

    def __init__(self, net: IPN, variables: Any):
        self._variables, self._drawn = jax.device_put(variables), net.config.reference_strokes
        self._reference = jax.jit(partial(_reference, net))
        self._aggregate = jax.jit(partial(_aggregate, net))
        self._run = jax.jit(partial(_run_chunk, net))
        self._found = Recent[np.ndarray](REMEMBERED)

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
        size, padded = np.array(video.size), padded_sides(*video.size, FRAME_MULTIPLE)
        fit = partial(pad_below, size=padded)
        view = View(padded, objects, object_bucket(len(objects)), fit, fit)
        references = self._references(video, annotations, start, view)
        carried = Carried(*view.known(annotations[start]))
        for numbers, chunk in read_chunks(video, annotations, frames, view, CHUNK):
            before = _previous(previous or {}, numbers, view)
            carried, found = self._run(self._variables, references, carried, chunk, before, size)
            for i, frame in enumerate(numbers):
                yield frame, np.asarray(found[i])[: size[0], : size[1], : len(objects) + 1]

    def _references(
        self, video: Frames, annotations: Mapping[int, Annotation], start: int, view: View
    ) -> np.ndarray:
        """Aggregated reference features of the objects, `[K, h, w, C]`; 0 in empty slots."""
        joined: dict[int, np.ndarray] = {}
        for frame, numbers in _sources(annotations, view.objects, start).items():
            image, annotation = video[frame], annotations[frame]
            drawn = annotation.scribbles if self._drawn else None
            for number in numbers:
                current = self._of(image, annotation.labels == number, drawn, number, view)
                first = number not in joined
                earlier = current if first else joined[number]
                found = self._aggregate(self._variables, current, earlier, first)
                joined[number] = np.asarray(found)
        out = np.zeros((view.bucket, *next(iter(joined.values())).shape), np.float32)
        for i, number in enumerate(view.objects):
            out[i] = joined[number]
        return out

    def _of(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        drawn: np.ndarray | None,
        number: int,
        view: View,
    ) -> np.ndarray:
        """I-net's reference of object `number` with `mask` `[H, W]` bool on one frame."""

        def compute() -> np.ndarray:
            maps = view.mask(mask.astype(np.float32)), *_strokes(drawn, number, mask, view)
            size = np.array(mask.shape)
            return np.asarray(self._reference(self._variables, view.image(image), *maps, size))

        strokes = () if drawn is None else (drawn, np.array(number))
        return self._found.get((image, mask, *strokes), compute)


def _sources(
    annotations: Mapping[int, Annotation], objects: tuple[int, ...], start: int
) -> dict[int, list[int]]:
    """Frames to take references from, in order, and the objects each of them is for.

    An object that is hidden wherever it is known has its reference from the start.
    """
    sources: dict[int, list[int]] = {}
    for frame, annotation in annotations.items():
        shown = set(np.unique(annotation.labels)) & set(annotation.objects)
        sources[frame] = [number for number in objects if number in shown]
    seen = {number for numbers in sources.values() for number in numbers}
    sources[start] = sources[start] + [number for number in objects if number not in seen]
    return {frame: numbers for frame, numbers in sources.items() if numbers}


def _strokes(
    drawn: np.ndarray | None, number: int, mask: np.ndarray, view: View
) -> tuple[np.ndarray, np.ndarray]:
    """Strokes of an object and of others on or near it, `[h, w]` float32 each; 0 if there are none.

    `mask` `[H, W]` bool is that of the object: the window around it is to be a close one.
    """
    if drawn is None:
        none = np.zeros(view.size, np.float32)
        return none, none
    around = near(mask | (drawn == number))
    maps = stroke_maps(signed(np.where(around, drawn, NOTHING), number))
    return view.mask(maps[..., 0]), view.mask(maps[..., 1])


def _previous(earlier: Mapping[int, np.ndarray], numbers: list[int], view: View) -> np.ndarray:
    """Masks of the earlier rounds on the frames of a chunk, `[C, K, H, W]` float32."""
    out = np.zeros((CHUNK, view.bucket, *view.size), np.float32)
    for i, frame in enumerate(numbers):
        if frame in earlier:
            masks = np.moveaxis(earlier[frame][..., 1:], -1, 0)
            out[i, : len(masks), : masks.shape[1], : masks.shape[2]] = masks
    return out


def _reference(
    net: IPN,
    variables: Any,
    image: Array,
    mask: Array,
    positive: Array,
    negative: Array,
    size: Array,
) -> Array:
    """I-net's reference feature `[h, w, C]` of an object with mask and strokes `[H, W]`."""
    maps = mask[None], positive[None], negative[None]
    return _segmented(net, variables, "interact", _frame(image), *maps, size).features[0]


def _aggregate(net: IPN, variables: Any, current: Array, earlier: Array, first: Array) -> Array:
    """References `[h, w, C]` of a round and of all before it joined; of the `first` its own.

    One program for all rounds: the second one is not to wait for a compiler.
    """
    joined: Any = net.apply(variables, current[None], earlier[None], method="aggregate")
    return jnp.where(first, current, joined[0])


def _run_chunk(
    net: IPN,
    variables: Any,
    references: Array,
    carried: Carried,
    chunk: Chunk,
    previous: Array,
    size: Array,
) -> tuple[Carried, Array]:
    """Segments a chunk; returns what is carried on and label probabilities `[C, H, W, K + 1]`."""

    def step(carried: Carried, at: Chunk, previous: Array) -> tuple[Carried, Array]:
        frame = _frame(at.frames)

        def one(reference: Array, before: Array, neighbour: Array) -> Array:
            near = (jnp.round(neighbour) if net.config.rounded else neighbour)[None]
            inputs = reference[None], frame, before[None], near, size
            return _segmented(net, variables, "propagate", *inputs).probability[0]

        alone = jax.vmap(one)(references, previous, carried.probability)
        known = carried.known | at.fixed
        probability = combined(alone, at.given, at.fixed, known)
        labels = jax.nn.softmax(aggregate(jnp.moveaxis(probability, 0, -1)))
        return Carried(probability, known), labels

    return scan_chunk(step, carried, chunk, previous)


def _segmented(net: IPN, variables: Any, method: str, *inputs: Array) -> Segmented:
    found: Any = net.apply(variables, *inputs, method=method)
    return found


def _frame(image: Array) -> Array:
    return image[None].astype(jnp.float32) / 255
