"""The memory read against plain loops, and what objects and memory frames may not change."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models.stm import ABSENT, read_memory
from tests.tiny import stm_network, tiny  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")


def plain_read(query, keys, values, valid):
    out = np.zeros((*query.shape[:2], values.shape[-1]))
    for y in range(query.shape[0]):
        for x in range(query.shape[1]):
            scores, found = [], []
            for m in np.flatnonzero(valid):
                for i in range(keys.shape[1]):
                    for j in range(keys.shape[2]):
                        scores.append(query[y, x] @ keys[m, i, j] / np.sqrt(query.shape[-1]))
                        found.append(values[m, i, j])
            weights = np.exp(np.array(scores) - max(scores))
            out[y, x] = (weights[:, None] * np.array(found)).sum(0) / weights.sum()
    return out


def memory(key, frames=3):
    a, b, c = jax.random.split(key, 3)
    query = 3 * jax.random.normal(a, (2, 3, 4))
    keys = 3 * jax.random.normal(b, (frames, 2, 3, 4))
    return query, keys, jax.random.normal(c, (frames, 2, 3, 5))


@pytest.mark.parametrize("valid", [[1, 1, 1], [0, 1, 0], [1, 0, 1]])
def test_read_equals_plain_loops(key, valid):
    query, keys, values = memory(key)
    mask = np.array(valid, bool)
    got = read_memory(query, keys, values, mask)
    want = plain_read(*(np.asarray(v, np.float64) for v in (query, keys, values)), mask)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_invalid_frames_have_no_influence_whatever_they_hold(key):
    query, keys, values = memory(key)
    valid = jnp.array([True, False, True])
    spoiled = read_memory(query, keys.at[1].set(1e4), values.at[1].set(1e6), valid)
    np.testing.assert_allclose(spoiled, read_memory(query, keys, values, valid), rtol=1e-6)


def test_an_empty_memory_reads_zero_with_finite_gradient(key):
    query, keys, values = memory(key)
    none = jnp.zeros(3, bool)
    assert not read_memory(query, keys, values, none).any()
    gradient = jax.grad(lambda q: jnp.sum(read_memory(q, keys, values, none)))(query)
    assert jnp.isfinite(gradient).all()


def scene(key, objects=3):
    a, b = jax.random.split(key)
    frame = jax.random.uniform(a, (2, 32, 32, 3))
    masks = (jax.random.uniform(b, (2, objects, 32, 32)) > 0.7).astype(jnp.float32)
    return frame, masks


@partial(jax.jit, static_argnums=0)
def segment(net, variables, frame, masks, valid):
    """Two memory frames, of which the second never counts."""
    keys, values = net.apply(variables, frame, masks, method="memorise")
    query = net.apply(variables, frame, method="query")
    keys, values = (jnp.stack([v, 0 * v + 7], 2) for v in (keys, values))
    valid = jnp.stack([valid, jnp.zeros_like(valid)], -1)
    return net.apply(variables, query, keys, values, valid, method="segment")


def test_permuting_objects_permutes_answers(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    valid = jnp.ones((2, 3), bool)
    order = jnp.array([2, 0, 1])
    got = segment(net, variables, frame, masks[:, order], valid)
    want = segment(net, variables, frame, masks, valid)
    assert got.shape == (2, 3, 32, 32)
    np.testing.assert_allclose(got, want[:, order], rtol=1e-3, atol=1e-4)
    assert not np.allclose(want[:, 0], want[:, 1], atol=1e-3)


def test_an_object_without_memory_is_absent_and_disturbs_nobody(key):
    net, variables = stm_network(key)
    frame, masks = scene(key, objects=2)
    masks = masks.at[:, 1].set(0)
    both = segment(net, variables, frame, masks, jnp.array([[True, False]] * 2))
    alone = segment(net, variables, frame, masks[:, :1], jnp.ones((2, 1), bool))
    np.testing.assert_allclose(both[:, :1], alone, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(both[:, 1], ABSENT)
