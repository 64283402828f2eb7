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

from ivs_jax.models import memory_read, resnet, stm
from ivs_jax.models.mask_value import from_cells, read_masks, to_cells
from ivs_jax.models.memory_read import read_memory
from ivs_jax.models.resnet import ResNet
from ivs_jax.models.stm import ABSENT, STM, STMConfig, labels_logits
from tests import tiny as sizes
from tests.tiny import filled, stm_network, tiny  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")


def plain_read(query, keys, values, valid, scale, *, distance=False, top=None):
    out = np.zeros((*query.shape[:2], values.shape[-1]))
    for y in range(query.shape[0]):
        for x in range(query.shape[1]):
            found = []
            for m in np.flatnonzero(valid):
                for i in range(keys.shape[1]):
                    for j in range(keys.shape[2]):
                        product = query[y, x] @ keys[m, i, j]
                        squared = ((query[y, x] - keys[m, i, j]) ** 2).sum()
                        score = (-squared if distance else product) / scale
                        found.append((score, values[m, i, j]))
            found = sorted(found, key=lambda pair: -pair[0])[:top]
            scores, read = (np.array([pair[i] for pair in found]) for i in (0, 1))
            weights = np.exp(scores - scores.max())
            out[y, x] = (weights[:, None] * read).sum(0) / weights.sum()
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
        for similarity in ("dot", "l2"):
            for top in (None, 4, 100):
                got = read_memory(
                    query, keys, values, mask, scaled=scaled, similarity=similarity, top_k=top
                )
                want = plain_read(*exact, mask, scale, distance=similarity == "l2", top=top)
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("top", [None, 4])
def test_a_read_in_parts_is_the_whole_read(key, monkeypatch, top):
    query, keys, values = memory(key)
    mask = np.array([True, False, True])
    read = partial(read_memory, query, keys, values, mask, similarity="l2", top_k=top)
    whole = read()
    monkeypatch.setattr(memory_read, "MOST_SCORES", 4 * keys[..., 0].size)  # 4 rows of 6
    np.testing.assert_allclose(read(), whole, rtol=1e-5, atol=1e-6)
    parts = jax.make_jaxpr(read)()
    assert f"f32[3,{keys[..., 0].size}]" in str(parts)  # and not 6 rows at once


def test_a_key_finds_its_own_place_by_distance(key):
    """Also where another key of the same direction is longer, which the product prefers."""
    keys = jnp.stack([jnp.ones((1, 2, 4)), 3 * jnp.ones((1, 2, 4))])
    values = jnp.arange(4.0).reshape(2, 1, 2, 1)
    query = jnp.ones((1, 2, 4))
    own = read_memory(query, keys, values, jnp.ones(2, bool), similarity="l2")
    np.testing.assert_allclose(own, 0.5, atol=1e-2)  # the mean of the first frame
    other = read_memory(query, keys, values, jnp.ones(2, bool))
    np.testing.assert_allclose(other, 2.5, atol=0.1)


def test_invalid_frames_have_no_influence_whatever_they_hold(key):
    query, keys, values = memory(key)
    valid = jnp.array([True, False, True])
    spoiled = read_memory(query, keys.at[1].set(1e4), values.at[1].set(1e6), valid)
    np.testing.assert_allclose(spoiled, read_memory(query, keys, values, valid), rtol=1e-6)


@pytest.mark.parametrize("top", [None, 4])
def test_an_empty_memory_reads_zero_with_finite_gradient(key, top):
    query, keys, values = memory(key)
    read = partial(read_memory, similarity="l2", top_k=top)
    none = jnp.zeros(3, bool)
    assert not read(query, keys, values, none).any()
    gradient = jax.grad(lambda q: jnp.sum(read(q, keys, values, none)))(query)
    assert jnp.isfinite(gradient).all()


def scene(key, objects=3):
    a, b = jax.random.split(key)
    frame = jax.random.uniform(a, (2, 32, 32, 3))
    masks = (jax.random.uniform(b, (2, objects, 32, 32)) > 0.7).astype(jnp.float32)
    return frame, masks


def published_network(key):
    return stm_network(key, sizes.STM_TWO_ENCODERS)


BOTH = pytest.mark.parametrize("made", [stm_network, published_network])


@partial(jax.jit, static_argnums=0)
def segment(net, variables, frame, masks, valid):
    """Two memory frames, of which the second never counts."""
    keys, values = net.apply(variables, frame, masks, method="memorise")
    query = net.apply(variables, frame, method="query")
    keys, values = (jnp.stack([v, 0 * v + 7], 2) for v in (keys, values))
    valid = jnp.stack([valid, jnp.zeros_like(valid)], -1)
    return net.apply(variables, query, keys, values, valid, method="segment")


@BOTH
def test_permuting_objects_permutes_answers(key, made):
    net, variables = made(key)
    frame, masks = scene(key)
    valid = jnp.ones((2, 3), bool)
    order = jnp.array([2, 0, 1])
    got = segment(net, variables, frame, masks[:, order], valid)
    want = segment(net, variables, frame, masks, valid)
    assert got.shape == (2, 3, 32, 32)
    np.testing.assert_allclose(got, want[:, order], rtol=1e-3, atol=1e-4)
    assert not np.allclose(want[:, 0], want[:, 1], atol=1e-3)


@BOTH
def test_an_object_without_memory_is_absent_and_disturbs_nobody(key, made):
    net, variables = made(key)
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
    net, variables = published_network(key)
    frame, masks = scene(key)
    seeing = once(net, variables, frame, masks)
    node = kernel(variables, "memory_encoder", "stem_extra")
    node["kernel"] = node["kernel"] * np.array([1, 0], np.float32)[:, None]
    want = once(net, variables, frame, masks)
    node["kernel"] = node["kernel"][:, :, :1]
    blind = STM(replace(sizes.STM_TWO_ENCODERS, others=False))
    got = once(blind, variables, frame, masks)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert not np.allclose(seeing, want, rtol=1e-4, atol=1e-5)


def test_a_shared_key_is_made_from_the_image_alone(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    keys, values = net.apply(variables, frame, masks, method="memorise")
    query = net.apply(variables, frame, method="query")
    assert keys.shape == (2, 1, 2, 2, sizes.STM.key)
    np.testing.assert_allclose(keys[:, 0], query.key, rtol=1e-5, atol=1e-6)
    again, others = net.apply(variables, query, 1 - masks, method="memorise_query")
    np.testing.assert_allclose(again, keys, rtol=1e-5, atol=1e-6)
    assert not np.allclose(others, values, atol=1e-3)


def test_the_last_channels_of_a_value_are_the_masks(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    _, values = net.apply(variables, frame, masks, method="memorise")
    cells = np.asarray(values[..., sizes.STM.value :])  # [N, K, 2, 2, 64 + 16]
    others = np.clip(np.asarray(masks).sum(1, keepdims=True) - masks, 0, 1)
    for first, side, shown in ((0, 8, np.asarray(masks)), (64, 4, others)):
        step = 16 // side
        for y, x, i, j in np.ndindex(2, 2, side, side):
            top, left = 16 * y + step * i, 16 * x + step * j
            want = shown[:, :, top : top + step, left : left + step].mean((2, 3))
            got = cells[:, :, y, x, first + side * i + j]
            np.testing.assert_allclose(got, want, atol=1e-6)
    fine, coarse = read_masks(values[:, 0], sizes.STM.value)
    np.testing.assert_allclose(
        fine[..., 0], masks[:, 0].reshape(2, 16, 2, 16, 2).mean((2, 4)), atol=1e-6
    )
    for e, shown in enumerate((masks[:, 0], others[:, 0])):
        want = shown.reshape(2, 8, 4, 8, 4).mean((2, 4))
        np.testing.assert_allclose(coarse[..., e], want, atol=1e-6)


def test_cells_go_there_and_back(key):
    x = jax.random.normal(key, (2, 8, 12, 3))
    for side in (2, 4):
        np.testing.assert_array_equal(from_cells(to_cells(x, side), side), x)


def test_the_masks_of_the_frame_before_count(key):
    net, variables = stm_network(key)
    frame, masks = scene(key)
    keys, values = (x[:, :, None] for x in net.apply(variables, frame, masks, method="memorise"))
    query = net.apply(variables, frame, method="query")
    valid = jnp.ones((2, 3, 1), bool)

    @jax.jit
    def segmented(*before):
        return net.apply(variables, query, keys, values, valid, *before, method="segment")

    unknown, empty, seen = segmented(), segmented(0 * masks), segmented(masks)
    np.testing.assert_allclose(unknown, empty, atol=1e-6)
    assert not np.allclose(seen, unknown, atol=1e-3)


def test_an_untrained_network_copies_the_mask_of_a_frame_to_itself(key):
    """The path of the masks alone: what it gives is what training starts from."""
    net, variables = network(replace(sizes.STM, top_k=1))
    for path in (("decoder", "pred2"), ("decoder", "sharpen", "change")):
        node = kernel(variables, *path)
        node.update({name: 0 * value for name, value in node.items()})  # as they start
    for path in (("decoder",), ("decoder", "sharpen")):
        kernel(variables, *path)["copy"] = np.float32(2)
    frame = jax.random.uniform(key, (1, 64, 64, 3))
    masks = jnp.zeros((1, 1, 64, 64)).at[..., 12:44, 20:52].set(1)
    found = once(net, variables, frame, masks)[0, 0] > 0
    assert ((found & (masks[0, 0] > 0)).sum() / (found | (masks[0, 0] > 0)).sum()) > 0.9


def test_scribbles_of_others_and_background_are_summed_without_the_own(key):
    config = replace(sizes.STM_TWO_ENCODERS, others=False, scribbles=True)
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
    net, variables = published_network(key)
    frame, masks = scene(key)
    want = once(net, variables, frame, masks)
    other = STM(replace(sizes.STM_TWO_ENCODERS, read_first=False))
    assert not np.allclose(once(other, variables, frame, masks), want, atol=1e-3)
    node = kernel(variables, "decoder", "convFM")
    node["kernel"] = jnp.roll(node["kernel"], sizes.STM_TWO_ENCODERS.value, axis=2)
    np.testing.assert_allclose(once(other, variables, frame, masks), want, rtol=1e-4, atol=1e-5)


def test_scores_without_scale_equal_scaled_ones_of_longer_keys(key):
    net, variables = published_network(key)
    frame, masks = scene(key)
    got = once(STM(replace(sizes.STM_TWO_ENCODERS, scaled=False)), variables, frame, masks)
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
@pytest.mark.parametrize("base", [sizes.STM, sizes.STM_TWO_ENCODERS])
def test_gradients_of_the_inputs_agree_with_differences(key, base):
    config = replace(base, backbone="tiny_resnet")
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
    net, variables = published_network(key)
    net = STM(replace(sizes.STM_TWO_ENCODERS, scribbles=True))
    with pytest.raises(
        ValueError, match=r"scribbles are \(2, 3, 32, 32\), expected \(2, 4, 32, 32"
    ):
        memorise(frame, masks, masks)
    with pytest.raises(ValueError, match="unknown backbone 'vgg', expected one of mobilenet_v1"):
        network(STMConfig(backbone="vgg"))
    with pytest.raises(ValueError, match="previous: only networks with shared_key"):
        STMConfig(shared_key=False)
    with pytest.raises(ValueError, match="scribbles: networks with shared_key see none"):
        STMConfig(scribbles=True)
