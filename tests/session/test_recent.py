"""Results of arrays are found again by value, and the oldest are forgotten."""

import numpy as np

from ivs_jax.session.recent import Recent


def test_equal_arrays_are_computed_once_and_others_not():
    computed, recent = [], Recent(10)

    def ask(*inputs):
        return recent.get(inputs, lambda: computed.append(inputs) or len(computed))

    a = np.arange(6, dtype=np.float32)
    assert ask(a, a + 1) == 1 and ask(a.copy(), a + 1) == 1
    assert ask(a + 1, a) == 2 and ask(a) == 3
    assert ask(a.reshape(2, 3)) == 4 and ask(a.reshape(3, 2)) == 5
    assert ask(a.reshape(3, 2).T) == 6  # not the memory but the values in order
    assert ask(np.ascontiguousarray(a.reshape(3, 2).T)) == 6
    assert len(computed) == 6


def test_the_result_asked_for_longest_ago_goes_first():
    asked, recent = [], Recent(2)

    def ask(number):
        return recent.get([np.array(number)], lambda: asked.append(number) or number)

    assert [ask(n) for n in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert asked == [1, 2, 3, 2]
