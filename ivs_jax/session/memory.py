"""Space-time memory of fixed capacity.

Slot 0 holds the frame before the current one. The next slots hold what the user annotated, for
good. The rest is a ring of every n-th segmented frame: when it is full the oldest goes, so the
memory of a long video is bounded and keeps the recent past and everything the user said. The memory
of STM-Interactive holds what the user annotated and nothing else, in all its slots.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

PREVIOUS = 0


class Memory(NamedTuple):
    """State of the memory for K objects; a pytree of static shape.

    Attributes:
      keys: `[K, M, h, w, k]` float32.
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
    annotated_only: bool = False,
) -> Memory:
    """Memory without frames; `size` = (h, w) of keys, `widths` = their and the values' channels.

    `annotated_only` says that nothing will be given to `remember`. Raises ValueError for a capacity
    that does not hold the previous frame, an annotated one and one of the ring.
    """
    least = 1 if annotated_only else 3
    if capacity < least:
        raise ValueError(f"capacity of the memory is {capacity}, expected at least {least}")
    shape = (objects, capacity, *size)
    return Memory(
        jnp.zeros((*shape, widths[0])),
        jnp.zeros((*shape, widths[1])),
        jnp.zeros(shape[:2], bool),
        jnp.zeros(capacity, jnp.int32),
        jnp.int32(0 if annotated_only else PREVIOUS + 1),
        jnp.int32(0),
    )


def annotated_slots(capacity: int, *, annotated_only: bool = False) -> int:
    """How many annotated frames fit: all slots but the previous frame's and two of the ring."""
    return capacity if annotated_only else max(capacity - 3, 1)


def keep_annotated(memory: Memory, key: Array, value: Array, known: Array, number: Array) -> Memory:
    """Adds an annotated frame for good; `known` `[K]` says which objects were annotated on it."""
    memory = _write(memory, memory.ring, key, value, known, number)
    return memory._replace(ring=memory.ring + 1)


def remember(
    memory: Memory, key: Array, value: Array, known: Array, number: Array, keep: Array
) -> Memory:
    """Adds the frame just segmented: to the ring if `keep` (bool), else as the previous frame.

    A frame in the ring is not held a second time as the previous one (STM's official code).
    """
    span = memory.keys.shape[1] - memory.ring
    slot = jnp.where(keep, memory.ring + memory.written % span, PREVIOUS)
    memory = memory._replace(valid=memory.valid.at[:, PREVIOUS].set(False))
    memory = _write(memory, slot, key, value, known, number)
    return memory._replace(written=memory.written + keep)


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
