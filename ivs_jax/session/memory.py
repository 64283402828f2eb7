"""Space-time memory of fixed capacity.

The memory holds what the user annotated, for good, and a ring of every n-th segmented frame: when
the ring is full its oldest frame goes, so the memory of a long video is bounded and keeps the
recent past and everything that was annotated. STM's also holds the frame before the current one,
in slot 0. The memory of STM-Interactive holds what the user annotated and nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

PREVIOUS = 0


class Memory(NamedTuple):
    """State of the memory for K objects; a pytree of static shape.

    Attributes:
      keys: `[J, M, h, w, k]` float32; J is K, or 1 where all objects share the key of a frame.
      values: `[K, M, h, w, v]` float32.
      valid: `[K, M]` bool, does this frame count for this object?
      number: `[M]` int32, of this frame: how many steps from the start, negative behind it.
      ring: int32 scalar, first slot of the ring.
      written: int32 scalar, frames written to the ring so far.
    """

    keys: Array
    values: Array
    valid: Array
    number: Array
    ring: Array
    written: Array


def empty_memory(
    objects: int,
    capacity: int,
    size: tuple[int, int],
    widths: tuple[int, int],
    *,
    shared_key: bool = False,
    previous: bool = True,
) -> Memory:
    """Memory without frames; `size` = (h, w) of keys, `widths` = their and the values' channels.

    `shared_key` says that all objects share the key of a frame, `previous` that slot 0 is for the
    frame before the current one. Raises ValueError for a capacity without room for an annotated
    frame.
    """
    least = PREVIOUS + 2 if previous else 1
    if capacity < least:
        raise ValueError(f"capacity of the memory is {capacity}, expected at least {least}")
    shape = (objects, capacity, *size)
    return Memory(
        jnp.zeros((1 if shared_key else objects, *shape[1:], widths[0])),
        jnp.zeros((*shape, widths[1])),
        jnp.zeros(shape[:2], bool),
        jnp.zeros(capacity, jnp.int32),
        jnp.int32(PREVIOUS + 1 if previous else 0),
        jnp.int32(0),
    )


def annotated_slots(capacity: int, *, previous: bool = True, annotated_only: bool = False) -> int:
    """How many annotated frames fit: all slots but the previous frame's and two of the ring."""
    return capacity if annotated_only else max(capacity - (3 if previous else 2), 1)


def keep_annotated(memory: Memory, key: Array, value: Array, known: Array, number: Array) -> Memory:
    """Adds an annotated frame for good; `known` `[K]` says which objects were annotated on it.

    It takes the first slot of the ring. The frame that was there moves to where the ring would have
    written next, so that only the oldest goes.
    """
    slot, free = memory.ring, _next_of_ring(memory)
    moved = memory.keys[:, slot], memory.values[:, slot], memory.valid[:, slot], memory.number[slot]
    memory = _write(memory, free, *moved)
    memory = _write(memory, slot, key, value, known, number)
    return memory._replace(ring=slot + 1, written=free - slot)


def replace_annotated(
    memory: Memory, slot: Array, key: Array, value: Array, known: Array, number: Array
) -> Memory:
    """Puts an annotated frame in the place of the one in `slot`."""
    return _write(memory, slot, key, value, known, number)


def remember(
    memory: Memory, key: Array, value: Array, known: Array, number: Array, keep: Array
) -> Memory:
    """Adds the frame just segmented: to the ring if `keep` (bool), else as the previous frame.

    A frame in the ring is not held a second time as the previous one (STM's official code).
    """
    slot = jnp.where(keep, _next_of_ring(memory), PREVIOUS)
    memory = memory._replace(valid=memory.valid.at[:, PREVIOUS].set(False))
    memory = _write(memory, slot, key, value, known, number)
    return memory._replace(written=memory.written + keep)


def keep_segmented(memory: Memory, key: Array, value: Array, known: Array, number: Array) -> Memory:
    """Adds the frame just segmented to the ring, of a memory without a slot for the previous."""
    memory = _write(memory, _next_of_ring(memory), key, value, known, number)
    return memory._replace(written=memory.written + 1)


def of_objects(
    memory: Memory, slots: Sequence[int], count: int, *, shared_key: bool = False
) -> Memory:
    """The memory of the objects in `slots`, then of objects that it does not know, `count` in all.

    `shared_key` as for `empty_memory`.
    """

    def moved(x: Array) -> Array:
        rows = x[np.array(slots, int)]
        return jnp.pad(rows, ((0, count - len(slots)), *[(0, 0)] * (x.ndim - 1)))

    keys = memory.keys if shared_key else moved(memory.keys)
    return memory._replace(keys=keys, values=moved(memory.values), valid=moved(memory.valid))


def _next_of_ring(memory: Memory) -> Array:
    return memory.ring + memory.written % (memory.values.shape[1] - memory.ring)


def _write(
    memory: Memory, slot: Array, key: Array, value: Array, known: Array, number: Array
) -> Memory:
    place = jax.lax.dynamic_update_index_in_dim
    return memory._replace(
        keys=place(memory.keys, key[:, None], slot, 1),
        values=place(memory.values, value[:, None], slot, 1),
        valid=place(memory.valid, known[:, None], slot, 1),
        number=place(memory.number, jnp.asarray(number, jnp.int32), slot, 0),
    )
