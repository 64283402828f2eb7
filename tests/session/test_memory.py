"""The bounded memory against a plain list."""

import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.session.memory import (
    PREVIOUS,
    annotated_slots,
    empty_memory,
    keep_annotated,
    keep_segmented,
    of_objects,
    remember,
    replace_annotated,
)

CAPACITY, EVERY = 6, 5


def frame(number, objects=2):
    """Key and value that tell which frame they are of."""
    key = jnp.full((objects, 1, 2, 3), float(number))
    return key, jnp.full((objects, 1, 2, 4), float(number))


def held(memory, k=0):
    """The frames that count for object `k`."""
    numbers = np.asarray(memory.keys[k, :, 0, 0, 0])
    valid = np.asarray(memory.valid[k])
    np.testing.assert_array_equal(numbers[valid], memory.number[valid])
    return sorted(int(n) for n, valid in zip(numbers, memory.valid[k], strict=True) if valid)


def plain(annotated, steps):
    """First + every 5th + previous, at most what fits, oldest of the ring first out."""
    room = CAPACITY - 1 - len(annotated)
    ring = [t for t in range(1, steps + 1) if t % EVERY == 0][-room:]
    previous = [steps] if steps and steps % EVERY else []
    return sorted(annotated + ring + previous)


def test_holds_first_every_fifth_and_previous_frame_and_forgets_the_oldest():
    yes = jnp.ones(2, bool)
    memory = keep_annotated(empty_memory(2, CAPACITY, (1, 2), (3, 4)), *frame(0), yes, 0)
    assert held(memory) == [0]
    for t in range(1, 48):
        memory = remember(memory, *frame(t), yes, t, jnp.bool_(t % EVERY == 0))
        assert held(memory) == plain([0], t), t


def test_annotated_frames_stay_for_good():
    yes, marked = jnp.ones(2, bool), [1000, 1001, 1002]
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4))
    assert annotated_slots(CAPACITY) == len(marked)
    for number in marked:
        memory = keep_annotated(memory, *frame(number), yes, number)
    for t in range(1, 40):
        memory = remember(memory, *frame(t), yes, t, jnp.bool_(t % EVERY == 0))
        assert held(memory) == plain(marked, t), t


def test_a_memory_of_annotated_frames_alone_gives_them_all_slots():
    yes = jnp.ones(2, bool)
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4), previous=False)
    assert annotated_slots(CAPACITY, previous=False, annotated_only=True) == CAPACITY
    for number in range(1, CAPACITY + 1):
        memory = keep_annotated(memory, *frame(number), yes, number)
        assert held(memory) == list(range(1, number + 1))


def test_a_memory_without_the_previous_frame_has_all_slots_for_the_others():
    yes, marked = jnp.ones(2, bool), [1000, 1001, 1002, 1003]
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4), shared_key=True, previous=False)
    assert annotated_slots(CAPACITY, previous=False) == len(marked)
    for number in marked:
        key, value = frame(number)
        memory = keep_annotated(memory, key[:1], value, yes, number)
    for t in range(EVERY, 40, EVERY):
        key, value = frame(t)
        memory = keep_segmented(memory, key[:1], value, yes, t)
        ring = range(EVERY, t + 1, EVERY)[-2:]
        assert sorted(memory.number.tolist()) == sorted([*marked, *ring, *[0] * (2 - len(ring))])
        numbers = memory.values[1, :, 0, 0, 0]
        np.testing.assert_array_equal(numbers, memory.number)
        np.testing.assert_array_equal(memory.keys[0, :, 0, 0, 0], memory.number)
        np.testing.assert_array_equal(memory.valid[0], np.asarray(memory.number) > 0)
    assert memory.keys.shape[0] == 1 and memory.values.shape[0] == 2


@pytest.mark.parametrize(("previous", "least"), [(True, 2), (False, 1)])
def test_a_memory_without_room_is_refused(previous, least):
    empty_memory(1, least, (1, 2), (3, 4), previous=previous)
    words = f"capacity of the memory is {least - 1}, expected at least {least}"
    with pytest.raises(ValueError, match=words):
        empty_memory(1, least - 1, (1, 2), (3, 4), previous=previous)


def test_a_frame_counts_only_for_the_objects_known_there():
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4))
    memory = keep_annotated(memory, *frame(7), jnp.array([True, False]), 7)
    assert held(memory, 0) == [7] and held(memory, 1) == []
    memory = remember(memory, *frame(8), jnp.array([False, True]), 8, jnp.bool_(False))
    assert held(memory, 0) == [7] and held(memory, 1) == [8]
    np.testing.assert_array_equal(memory.keys[1, PREVIOUS], frame(8)[0][1])


@pytest.mark.parametrize("before", [0, 7, 14, 34])
def test_a_frame_annotated_on_the_way_costs_the_oldest_at_most(before):
    yes = jnp.ones(2, bool)
    memory = keep_annotated(empty_memory(2, CAPACITY, (1, 2), (3, 4)), *frame(0), yes, 0)
    for t in range(1, before + 1):
        memory = remember(memory, *frame(t), yes, t, jnp.bool_(t % EVERY == 0))
    had = held(memory)
    memory = keep_annotated(memory, *frame(1000), yes, 1000)
    ring = [t for t in had if t and t % EVERY == 0][-(CAPACITY - 3) :]  # with room for one less
    assert [t for t in held(memory) if t and t % EVERY == 0 and t != 1000] == ring
    assert {0, 1000} <= set(held(memory))
    for t in range(before + 1, before + 30):
        memory = remember(memory, *frame(t), yes, t, jnp.bool_(t % EVERY == 0))
        assert {0, 1000} <= set(held(memory)), t
    assert held(memory) == plain([0, 1000], before + 29)


def test_an_annotated_frame_can_take_the_place_of_another():
    yes = jnp.ones(2, bool)
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4))
    for number in (1000, 1001):
        memory = keep_annotated(memory, *frame(number), yes, number)
    memory = replace_annotated(memory, jnp.int32(PREVIOUS + 1), *frame(7), yes, 7)
    assert held(memory) == [7, 1001]


@pytest.mark.parametrize("shared", [False, True])
def test_objects_are_chosen_and_added(shared):
    memory = empty_memory(2, CAPACITY, (1, 2), (3, 4), shared_key=shared)
    key, value = frame(5)
    known = jnp.array([True, False])
    memory = keep_annotated(memory, key[:1] if shared else key, value, known, 5)
    found = of_objects(memory, [1, 0], 4, shared_key=shared)
    assert found.values.shape[0] == found.valid.shape[0] == 4
    assert found.keys.shape[0] == (1 if shared else 4)
    assert np.asarray(found.valid).sum(1).tolist() == [0, 1, 0, 0]
    assert of_objects(found, [1], 1, shared_key=shared).valid.sum() == 1
