"""The memory read and the flags of the config against plain formulations, and gradients.

Also what objects and memory frames may not change.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.models import resnet, stm
from ivs_jax.models.memory_read import read_memory
from ivs_jax.models.resnet import ResNet
from ivs_jax.models.stm import ABSENT, STM, STMConfig, labels_logits
from tests import tiny as sizes
from tests.tiny import filled, stm_network, tiny  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")


def plain_read(query, keys, values, valid, scale, nearness=0.0, fresh=(0, 0, 0)):
    out = np.zeros((*query.shape[:2], values.shape[-1]))
    for y in range(query.shape[0]):
        for x in range(query.shape[1]):
            scores, found = [], []
            for m in np.flatnonzero(valid):
                for i in range(keys.shape[1]):
                    for j in range(keys.shape[2]):
                        far = (y - i) ** 2 + (x - j) ** 2
                        scores.append(
                            query[y, x] @ keys[m, i, j] / scale - nearness * far + fresh[m]
                        )
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
    exact = [np.asarray(v, np.float64) for v in (query, keys, values)]
    for scaled, scale in ((True, np.sqrt(query.shape[-1])), (False, 1)):
        got = read_memory(query, keys, values, mask, scaled=scaled)
        want = plain_read(*exact, mask, scale)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        near = read_memory(query, keys, values, mask, scaled=scaled, locality=1.5)
        want = plain_read(*exact, mask, scale, nearness=1 / 4.5)
        np.testing.assert_allclose(near, want, rtol=1e-5, atol=1e-5)
        assert not np.allclose(near, got, atol=1e-2)
        fresh = np.float32([-0.5, 0, -2])
        late = read_memory(query, keys, values, mask, scaled=scaled, fresh=fresh)
        want = plain_read(*exact, mask, scale, fresh=fresh)
        np.testing.assert_allclose(late, want, rtol=1e-5, atol=1e-5)


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


def test_what_lies_far_back_counts_less(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)

    @jax.jit
    def segmented(valid, age):
        pair = [net.apply(variables, frame, m, method="memorise") for m in (masks, 1 - masks)]
        keys, values = (jnp.stack([a, b], 2) for a, b in zip(*pair, strict=True))
        query = net.apply(variables, frame, method="query")
        which = jnp.broadcast_to(valid, (2, 3, 2))
        return net.apply(variables, query, keys, values, which, age, method="segment")

    alone = segmented(jnp.array([True, False]), jnp.zeros(2))
    ages = jnp.array([[1, 1], [1, 10], [1, 1000]])
    both = [segmented(jnp.array([True, True]), age) for age in ages]
    gaps = [float(jnp.abs(found - alone).max()) for found in both]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-4
    want = segmented(jnp.array([True, True]), jnp.zeros(2))
    np.testing.assert_allclose(both[0], want, rtol=1e-3, atol=1e-4)


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


def network(config):
    """A network of this config; nothing is compiled for its variables."""
    net = STM(config)
    shapes = jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(32))
    return net, filled(shapes)


def kernel(variables, *path):
    """The innermost dict of parameters on `path`, to be changed in place."""
    node = variables["params"]
    for name in path:
        node = node[name]
    return node


@partial(jax.jit, static_argnums=0)
def once(net, variables, frame, masks, scribbles=None):
    """Memorises a frame and segments it again."""
    memory = net.apply(variables, frame, masks, scribbles, method="memorise")
    keys, values = (x[:, :, None] for x in memory)
    query = net.apply(variables, frame, method="query")
    valid = jnp.ones(keys.shape[:3], bool)
    return net.apply(variables, query, keys, values, valid, method="segment")


def test_without_other_objects_equals_a_stem_that_is_blind_to_them(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    seeing = once(net, variables, frame, masks)
    for path in (("memory_encoder", "stem_extra"), ("mask_value",)):
        node = kernel(variables, *path)
        node["kernel"] = node["kernel"].at[:, :, 1].set(0)
    want = once(net, variables, frame, masks)
    for path in (("memory_encoder", "stem_extra"), ("mask_value",)):
        node = kernel(variables, *path)
        node["kernel"] = node["kernel"][:, :, :1]
    got = once(STM(replace(sizes.STM, others=False)), variables, frame, masks)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert not np.allclose(seeing, want, atol=1e-3)


def test_scribbles_of_others_and_background_are_summed_without_the_own(key):
    config = replace(sizes.STM, others=False, scribbles=True)
    net, variables = network(config)
    frame, masks = scene(key, objects=2)
    scribbles = (jax.random.uniform(key, (2, 3, 32, 32)) > 0.8).astype(jnp.float32)
    got = once(net, variables, frame, masks, scribbles)
    for own, others in ((1, (0, 2)), (2, (0, 1))):
        rest = np.clip(sum(np.asarray(scribbles[:, i]) for i in others), 0, 1)
        alone = jnp.stack([rest, scribbles[:, own]], 1)
        want = once(net, variables, frame, masks[:, own - 1 : own], alone)
        np.testing.assert_allclose(got[:, own - 1 : own], want, rtol=1e-4, atol=1e-5)
    none = once(net, variables, frame, masks)
    assert not np.allclose(got, none, atol=1e-3)
    np.testing.assert_array_equal(once(net, variables, frame, masks, 0 * scribbles), none)


def test_the_order_of_read_and_value_is_that_of_the_halves_of_the_first_kernel(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    want = once(net, variables, frame, masks)
    other = STM(replace(sizes.STM, read_first=False))
    assert not np.allclose(once(other, variables, frame, masks), want, atol=1e-3)
    node = kernel(variables, "decoder", "convFM")
    node["kernel"] = jnp.roll(node["kernel"], sizes.STM.value, axis=2)
    np.testing.assert_allclose(once(other, variables, frame, masks), want, rtol=1e-4, atol=1e-5)


def test_scores_without_scale_equal_scaled_ones_of_longer_keys(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    got = once(STM(replace(sizes.STM, scaled=False)), variables, frame, masks)
    assert not np.allclose(once(net, variables, frame, masks), got, atol=1e-5)
    node = kernel(variables, "query_kv", "Key")
    for name in node:
        node[name] = node[name] * np.sqrt(sizes.STM.key)
    want = once(net, variables, frame, masks)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_clamped_labels_equal_the_published_formula():
    logits = np.array([[-30.0, -3.0, 0.0, 4.0, 9.0, 30.0], [-30.0, 1.0, 0.5, 4.0, -9.0, 30.0]])
    p = 1 / (1 + np.exp(-logits))
    p = np.concatenate([np.prod(1 - p, 0, keepdims=True), p]).clip(1e-7, 1 - 2.0**-23)
    got = labels_logits(jnp.float32(logits)[None, :, None], clamp=True)
    np.testing.assert_allclose(np.asarray(got)[0, 0].T, np.log(p / (1 - p)), rtol=1e-3)
    assert got[0, 0, -1, 1] == got[0, 0, -1, 2]  # two saturated objects share the pixel


@pytest.fixture
def tiny_resnet(monkeypatch):
    """Registers the backbone "tiny_resnet": one bottleneck in each of three stages."""
    monkeypatch.setitem(resnet.DEPTHS, 11, (1, 1, 1))
    monkeypatch.setitem(stm.BACKBONES, "tiny_resnet", partial(ResNet, depth=11, stages=3))


@pytest.mark.usefixtures("tiny_resnet")
def test_gradients_of_the_inputs_agree_with_differences(key):
    config = replace(sizes.STM, backbone="tiny_resnet", mask_skip=False)
    net, variables = network(config)
    rng = np.random.default_rng(0)
    frame, masks = rng.uniform(0, 1, (1, 32, 32, 3)), rng.uniform(0, 0.5, (1, 2, 32, 32))
    # In float64, where a step can be so small that none of the many maxima switches within it.
    with jax.enable_x64(True):
        variables = jax.tree.map(np.float64, variables)

        @jax.jit
        def answer(frame, masks):
            return jnp.mean(jnp.tanh(net.apply(variables, frame, masks) / 20), (2, 3))

        check = partial(check_grads, order=1, modes=["rev"], eps=1e-7, atol=1e-6, rtol=1e-5)
        check(answer, (frame, masks))
        with pytest.raises(AssertionError):
            check(lambda *x: answer(x[0], (x[1] + jax.lax.stop_gradient(x[1])) / 2), (frame, masks))


def test_bad_input_is_refused_in_one_line(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)

    def memorise(*inputs):
        return jax.eval_shape(partial(net.apply, method="memorise"), variables, *inputs)

    for inputs, words in (
        ((frame[:, :30], masks[:, :, :30]), r"memorise: frame is \(2, 30, 32, 3\), expected .* 16"),
        ((frame[..., :1], masks), r"memorise: frame is \(2, 32, 32, 1\), expected \(N, H, W, 3\)"),
        ((frame, masks[:1]), r"memorise: masks are \(1, 3, 32, 32\), expected \(2, K, 32, 32\)"),
        ((frame, masks[..., 0]), r"memorise: masks are \(2, 3, 32\), expected \(2, K, 32, 32\)"),
        ((frame, masks, masks), r"memorise: scribbles are given, but this network takes none"),
    ):
        with pytest.raises(ValueError, match=words):
            memorise(*inputs)
    with pytest.raises(ValueError, match=r"query: frame is \(2, 32, 20, 3\)"):
        jax.eval_shape(partial(net.apply, method="query"), variables, frame[:, :, :20])
    net = STM(replace(sizes.STM, scribbles=True))
    with pytest.raises(
        ValueError, match=r"scribbles are \(2, 3, 32, 32\), expected \(2, 4, 32, 32"
    ):
        memorise(frame, masks, masks)
    with pytest.raises(ValueError, match="unknown backbone 'vgg', expected one of mobilenet_v1"):
        network(STMConfig(backbone="vgg"))
