"""Order and weights of propagation in a round, against experiments/papers/ipn.md, section 7."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.training.rounds import merging, visits


def plain_weights(start, earlier):
    """Weights and reach of one clip, frame by frame."""
    length = len(earlier)
    right = [t for t in range(start + 1, length) if earlier[t]]
    left = [t for t in range(start) if earlier[t]]
    end, begin = (right[0] if right else length - 1), (left[-1] if left else 0)
    weights = np.ones(length)
    for t in range(length):
        if t > start and right:
            weights[t] = max(0, 1 - (t - start) / (end - start))
        if t < start and left:
            weights[t] = max(0, 1 - (start - t) / (start - begin))
    return weights, [begin <= t <= end for t in range(length)]


@pytest.mark.parametrize("length", [2, 5])
def test_frames_are_visited_onwards_then_back_each_after_its_neighbour(length):
    starts = np.arange(length)
    frames, neighbours = map(np.asarray, jax.jit(visits, static_argnums=1)(starts, length))
    for start in starts:
        order = [*range(start + 1, length), *range(start - 1, -1, -1)]
        assert frames[:, start].tolist() == order
        known = {start}
        for frame, neighbour in zip(frames[:, start], neighbours[:, start], strict=True):
            assert abs(frame - neighbour) == 1 and neighbour in known
            known.add(frame)


def test_the_example_of_the_specification():
    earlier = np.zeros((1, 30), bool)
    earlier[0, 20] = True
    weights, reached = merging(jnp.array([10]), jnp.asarray(earlier))
    np.testing.assert_allclose(weights[0, 11:20], np.arange(9, 0, -1) / 10, rtol=1e-5)
    np.testing.assert_allclose(weights[0, :11], 1)
    np.testing.assert_allclose(weights[0, 20:], 0, atol=1e-6)
    assert reached[0].tolist() == [True] * 21 + [False] * 9


def test_a_first_round_replaces_everything():
    weights, reached = merging(jnp.array([0, 2, 4]), jnp.zeros((3, 5), bool))
    assert np.all(np.asarray(weights) == 1) and np.all(np.asarray(reached))


def test_weights_equal_plain_loops():
    rng = np.random.default_rng(0)
    earlier, start = rng.random((40, 9)) < 0.3, rng.integers(9, size=40)
    weights, reached = merging(jnp.asarray(start), jnp.asarray(earlier))
    for n in range(40):
        expected, inside = plain_weights(start[n], earlier[n])
        np.testing.assert_allclose(weights[n], expected, atol=1e-6)
        assert reached[n].tolist() == inside
