"""Windows, references and gradients of a tiny IPN; the published one has its own file."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.models.ipn import IPN, IPNConfig
from tests.tiny_ipn import CONFIG, ipn_network  # noqa: F401

SIZE = (200, 260)


@pytest.fixture(scope="module")
def methods(ipn_network):  # noqa: F811
    net, variables = ipn_network
    return {
        name: jax.jit(partial(net.apply, variables, method=name))
        for name in ("interact", "aggregate", "propagate")
    }


def scene(n=2):
    """Frames and three maps, with marks in another place on each frame."""
    rng = np.random.default_rng(0)
    frames = rng.random((n, *SIZE, 3)).astype(np.float32)
    maps = np.zeros((3, n, *SIZE), np.float32)
    for i in range(n):
        y, x = 20 + 140 * i, 30 + 190 * i
        maps[0, i, y : y + 30, x : x + 20] = 0.9
        maps[1, i, y + 10 : y + 15, x + 5 : x + 10] = 1
        maps[2, i, y : y + 5, x + 25 : x + 30] = 1
    return frames, *maps


def reference(n=2):
    return np.random.default_rng(1).random((n, 2, 2, 10)).astype(np.float32)


def both(methods, frames, mask, positive, negative):
    yield methods["interact"](frames, mask, positive, negative)
    yield methods["propagate"](reference(), frames, mask, positive)


def test_five_scales_and_nothing_outside_the_window(methods):
    for found in both(methods, *scene()):
        assert [logits.shape for logits in found.logits] == [
            (2, side, side, 2) for side in (64, 16, 8, 4, 2)
        ]
        assert found.features.shape == (2, 2, 2, 10)
        assert found.probability.shape == (2, *SIZE)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        for p, (x0, y0, x1, y1) in zip(np.asarray(found.probability), found.box, strict=True):
            inside = (rows > y0) & (rows < y1) & (columns > x0) & (columns < x1)
            # Half a window pixel beyond the box the last one still reaches.
            near = (rows > y0 - 4) & (rows < y1 + 4) & (columns > x0 - 4) & (columns < x1 + 4)
            assert not p[~near].any() and p[inside].mean() > 0.1
            assert near.mean() < 0.99


def test_a_padded_frame_by_itself_is_segmented_like_in_a_batch(methods):
    whole = list(both(methods, *scene()))
    edges, size = ((0, 0), (0, 56), (0, 124), (0, 0)), jnp.array(SIZE)
    for i in range(2):
        padded = [np.pad(x[i : i + 1], edges[: x.ndim]) for x in scene()]
        frame, mask, positive, _ = padded
        found = (
            methods["interact"](*padded, size),
            methods["propagate"](reference()[i : i + 1], frame, mask, positive, size),
        )
        for one, want in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one.box[0], want.box[i])
            inside = one.probability[0, : SIZE[0], : SIZE[1]]
            np.testing.assert_allclose(inside, want.probability[i], atol=1e-4)
            assert not one.probability[:, SIZE[0] :].any()
            assert not one.probability[:, :, SIZE[1] :].any()


def test_every_input_counts(methods):
    inputs = scene()
    want = list(both(methods, *inputs))
    for i in range(4):
        changed = [x * 0.9 if j == i else x for j, x in enumerate(inputs)]
        found = list(both(methods, *changed))
        differs = [
            bool(jnp.abs(a.logits[0] - b.logits[0]).max() > 1e-3)
            for a, b in zip(found, want, strict=True)
        ]
        assert differs == [True, i < 3]  # P-net sees no negative map
    other = methods["propagate"](reference() + 0.1, *inputs[:3])
    assert jnp.abs(other.logits[0] - want[1].logits[0]).max() > 1e-3


def test_aggregation_weighs_channels_by_interleaved_scores(methods, ipn_network):  # noqa: F811
    layers = ipn_network[1]["params"]["aggregation"]
    current, previous = reference(), reference()[::-1] ** 2
    found = methods["aggregate"](current, previous)
    for n in range(2):
        g = np.concatenate([current[n].mean((0, 1)), previous[n].mean((0, 1))])
        hidden = np.maximum(g @ layers["reduce"]["kernel"] + layers["reduce"]["bias"], 0)
        z = hidden @ layers["expand"]["kernel"] + layers["expand"]["bias"]
        for c in range(10):
            w = np.exp(z[2 * c : 2 * c + 2]) / np.exp(z[2 * c : 2 * c + 2]).sum()
            want = w[0] * current[n, ..., c] + w[1] * previous[n, ..., c]
            np.testing.assert_allclose(found[n, ..., c], want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(methods["aggregate"](current, None), current)


def test_references_get_no_gradient_but_the_aggregation_does(ipn_network):  # noqa: F811
    net, variables = ipn_network

    def f(params, current, previous):
        joined = net.apply({"params": params}, current, previous, method="aggregate")
        return jnp.sum(joined**2)

    params = {"aggregation": variables["params"]["aggregation"]}
    found = jax.jit(jax.grad(f, (0, 1, 2)))(params, reference(), reference()[::-1])
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(found[0]))
    assert not jnp.any(found[1]) and not jnp.any(found[2])


@pytest.mark.parametrize("which", ["interact", "propagate"])
def test_gradients_agree_with_finite_differences(methods, which):
    frames, mask, positive, negative = (x[:1, ::4, ::4] for x in scene())
    # Inputs keep away from 0.49, where the window jumps.
    inputs = [frames, mask, positive] + ([negative] if which == "interact" else [])
    if which == "propagate":
        inputs = [reference(1), *inputs]
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(1, *frames.shape[1:3])).astype(np.float32) / 10
    scales = [rng.normal(size=(1, s, s, 2)).astype(np.float32) / s for s in (64, 16, 8, 4, 2)]

    @jax.jit
    def f(*inputs):
        found = methods[which](*inputs)
        total = jnp.sum(found.probability * weights)
        return total + sum(jnp.sum(x * w) for x, w in zip(found.logits, scales, strict=True))

    check_grads(f, tuple(inputs), order=1, modes=["rev"], eps=1e-3, atol=2e-2, rtol=2e-2)
    # The same for each input by itself: together a weak one drowns.
    gradients = jax.grad(f, tuple(range(len(inputs))))(*inputs)
    for i, gradient in enumerate(gradients):
        ends = []
        for step in (1e-2, -1e-2):
            moved = inputs[i] + step * gradient / jnp.linalg.norm(gradient)
            ends.append(f(*inputs[:i], moved, *inputs[i + 1 :]))
        slope = (ends[0] - ends[1]) / 2e-2
        np.testing.assert_allclose(slope, jnp.linalg.norm(gradient), rtol=2e-2)


def test_a_window_that_the_strides_do_not_divide_is_an_error():
    net = IPN(IPNConfig(**{**CONFIG.__dict__, "backbone": "resnet50", "window": 100}))
    with pytest.raises(ValueError, match="window must be a multiple of 32, found 100"):
        jax.eval_shape(net.init, jax.random.key(0), *net.example_inputs(64))
