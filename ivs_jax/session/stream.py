"""A space-time memory that follows a stream: frames come one by one and are not kept.

It steps through the program of `session.propagate`, so a stream has the masks that the same frames
have as a video. What is held has a fixed size: the memory, and the masks of the last frame.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.session.chunks import Chunk
from ivs_jax.session.memory import Memory, keep_annotated, of_objects, replace_annotated
from ivs_jax.types import Annotation

if TYPE_CHECKING:
    from ivs_jax.session.propagate import STMPropagator

Carried = tuple[Memory, Array]  # and the masks of the frame before, `[K, h, w]`

_keep, _replace = jax.jit(keep_annotated), jax.jit(replace_annotated)


class Kept(NamedTuple):
    """An annotated frame in the memory.

    Attributes:
      slot: its place there.
      number: of the frame, from 0, the first annotated one.
      objects: the ids that were annotated on it.
    """

    slot: int
    number: int
    objects: frozenset[int]


@dataclass(frozen=True)
class STMStream:
    """See `session.engine.Stream`; a propagator's `stream` makes the first one.

    Annotated frames stay in the memory, as many as it has slots for; then the oldest one goes
    without which every object is still annotated somewhere.

    Attributes:
      propagator: the network.
      size: (H, W) of the frames.
      objects: ids, in order of their slots in `carried`.
      carried: memory and masks of the frame before; None before the first annotated frame.
      number: of the next frame, 0 = the first annotated one.
      kept: the annotated frames in the memory.
    """

    propagator: "STMPropagator" = field(repr=False)
    size: tuple[int, int]
    objects: tuple[int, ...] = ()
    carried: Carried | None = field(default=None, repr=False)
    number: int = 0
    kept: tuple[Kept, ...] = ()

    def step(
        self, image: np.ndarray, annotation: Annotation | None = None
    ) -> tuple["STMStream", np.ndarray]:
        """See `session.engine.Stream`."""
        if annotation is None and self.carried is None:
            return self, np.ones((*self.size, 1), np.float32)
        after = self if annotation is None else self._annotated(image, annotation)
        assert after.carried is not None
        if self.carried is None and annotation is not None:  # as a session starts: nothing to do
            masks = [annotation.labels == number for number in after.objects]
            given = np.stack([~np.any(masks, 0), *masks], -1).astype(np.float32)
            return replace(after, number=1), given
        carried, small = self.propagator.advance(after.carried, after._chunk(image, annotation))
        found = self.propagator.enlarged(small, 0, self.size, len(after.objects))
        return replace(after, carried=carried, number=after.number + 1), found

    def without(self, objects: Collection[int]) -> "STMStream":
        """See `session.engine.Stream`."""
        left = tuple(number for number in self.objects if number not in objects)
        if not left:
            return STMStream(self.propagator, self.size)
        kept = tuple(k._replace(objects=k.objects - set(objects)) for k in self.kept)
        return replace(self._with(left), kept=kept)

    def annotated_only(self) -> "STMStream":
        """See `session.engine.Stream`; the masks of the frame before stay."""
        if self.carried is None:
            return self
        memory, before = self.carried
        slots = np.isin(np.arange(memory.valid.shape[1]), [k.slot for k in self.kept])
        memory = memory._replace(valid=memory.valid & slots[None], written=jnp.int32(0))
        return replace(self, carried=(memory, before))

    def _annotated(self, image: np.ndarray, annotation: Annotation) -> "STMStream":
        """The same with an annotated frame in the memory, and its objects."""
        new = tuple(k for k in sorted(annotation.objects) if k not in self.objects)
        after = self._with((*self.objects, *new))
        view = self.propagator.view(self.size, after.objects)
        assert after.carried is not None
        memory, before = after.carried
        encoded = self.propagator.memorise(image, annotation, view)
        number, objects = np.int32(self.number), frozenset(annotation.objects)
        if len(self.kept) < self.propagator.slots:
            slot, kept = int(memory.ring), self.kept
            memory = _keep(memory, *encoded, number)
        else:
            spare = _spare(self.kept, objects)
            slot, kept = spare.slot, tuple(k for k in self.kept if k != spare)
            memory = _replace(memory, np.int32(slot), *encoded, number)
        if self.carried is None:
            before = jnp.asarray(view.known(annotation)[0])
        kept = (*kept, Kept(slot, self.number, objects))
        return replace(after, carried=(memory, before), kept=kept)

    def _chunk(self, image: np.ndarray, annotation: Annotation | None) -> Chunk:
        """One frame as a chunk."""
        view = self.propagator.view(self.size, self.objects)
        masks, fixed = view.known(annotation or Annotation(np.zeros(self.size, np.uint8), ()))
        number = np.array([self.number], np.int32)
        return Chunk(view.image(image)[None], masks[None], fixed[None], number, np.ones(1, bool))

    def _with(self, objects: tuple[int, ...]) -> "STMStream":
        """The same for other objects: what is known of them, and nothing of new ones."""
        if objects == self.objects:
            return self
        view = self.propagator.view(self.size, objects)
        if self.carried is None:
            empty = jnp.zeros((view.bucket, *view.size))
            return replace(self, objects=objects, carried=(self.propagator.empty(view), empty))
        memory, before = self.carried
        slots = [self.objects.index(number) for number in objects if number in self.objects]
        shared = self.propagator.config.shared_key
        memory = of_objects(memory, slots, view.bucket, shared_key=shared)
        before = jnp.pad(before[np.array(slots)], ((0, view.bucket - len(slots)), (0, 0), (0, 0)))
        return replace(self, objects=objects, carried=(memory, before))


def _spare(kept: Sequence[Kept], new: frozenset[int]) -> Kept:
    """The frame that leaves the memory for one on which the objects `new` are annotated."""
    oldest_first = sorted(kept, key=lambda k: k.number)
    for candidate in oldest_first:
        others = frozenset.union(new, *(k.objects for k in kept if k != candidate))
        if candidate.objects <= others:
            return candidate
    return oldest_first[0]
