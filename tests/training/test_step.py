"""The training step on one device, against plain optax and against itself in other ways."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array

from ivs_jax.models.layers import ResBlock
from ivs_jax.training.state import create_state
from ivs_jax.training.step import make_loss, make_step
from tests.tiny_task import OPTIMISER, TASK, TinyTask, batches, figures, new_state, train

KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def plain():
    """State and metrics of the steps without any option, on one device."""
    return train(jax.devices()[:1])


def _close(found, expected, rtol=1e-5, atol=1e-7):
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def _plain_run(count):
    """Gradient and optax, nothing else."""
    state, losses = new_state(), []
    params, moments = state.params, state.optimiser

    @jax.jit
    def gradient(params, batch, key):
        def loss(params):
            return TASK.loss(params, state.stats, batch, key=key, dtype=jnp.float32)[0]

        value, found = jax.value_and_grad(loss)(params)
        return value, found | {"first": jax.tree.map(jnp.zeros_like, found["first"])}

    for i, batch in enumerate(batches(count)):
        value, gradients = gradient(params, batch, jax.random.fold_in(KEY, i))
        losses.append(float(value))
        updates, moments = OPTIMISER.update(gradients, moments, params)
        params = optax.apply_updates(params, updates)
    return params, losses


def test_steps_are_those_of_plain_optax(plain):
    state, metrics = plain
    params, losses = _plain_run(len(metrics))
    _close(state.params, params)
    np.testing.assert_allclose([m["loss"] for m in metrics], losses, rtol=1e-5)
    assert int(state.step) == len(metrics)
    assert metrics[0].keys() == {"loss", "error", "gradient_norm"}
    assert metrics[-1]["loss"] < metrics[0]["loss"]


def test_the_same_steps_twice_are_equal_bit_for_bit(plain):
    assert figures(*train(jax.devices()[:1])) == figures(*plain)


@pytest.mark.parametrize("parts", [2, 8])
def test_an_accumulated_batch_is_the_whole_batch(plain, parts):
    _close(train(jax.devices()[:1], accumulate=parts), plain)


def test_randomness_comes_from_the_key_and_the_samples_seeds():
    step, state, batch = jax.jit(make_step(TASK, OPTIMISER)), new_state(), batches(1)[0]

    def loss(key, **changes):
        return float(step(state, batch._replace(**changes), key)[1]["loss"])

    assert loss(KEY) == loss(KEY)
    assert loss(jax.random.key(2)) != loss(KEY)
    assert loss(KEY, seed=batch.seed + np.uint32(1)) != loss(KEY)


def test_frozen_parameters_keep_their_bits_and_the_others_move(plain):
    state, before = plain[0], new_state()
    for name, part in state.params.items():
        for leaf, value in part.items():
            old = before.params[name][leaf]
            assert np.array_equal(value, old) == (name == "first"), (name, leaf)
    np.testing.assert_array_equal(state.stats["mean"], before.stats["mean"])
    gradients, _ = jax.jit(jax.grad(make_loss(TASK), has_aux=True))(
        before.params, before.stats, batches(1)[0], KEY
    )
    assert all(not np.any(g) for g in gradients["first"].values())


def test_bfloat16_computes_in_it_and_keeps_parameters_in_float32():
    seen = []

    @dataclass(frozen=True)
    class Watched(TinyTask):
        def loss(self, params: Any, stats: Any, batch: Any, *, key: Array, dtype: Any) -> Any:
            seen.append({str(x.dtype) for x in jax.tree.leaves((params, stats))} | {dtype})
            return super().loss(params, stats, batch, key=key, dtype=dtype)

    watched: Any = Watched()
    step = jax.jit(make_step(watched, OPTIMISER, dtype=jnp.bfloat16, ema=0.9))
    state, metrics = step(new_state(ema=True), batches(1)[0], KEY)
    assert seen[0] == {"bfloat16", "float32", jnp.bfloat16}  # the statistics are float32
    floats = [x for x in jax.tree.leaves((state, metrics)) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert {x.dtype for x in floats} == {jnp.dtype("float32")}
    _, exact = jax.jit(make_step(TASK, OPTIMISER))(new_state(), batches(1)[0], KEY)
    for name in ("loss", "gradient_norm"):
        assert metrics[name] != exact[name]
        np.testing.assert_allclose(metrics[name], exact[name], rtol=0.02)


def test_bfloat16_learns_as_float32_does(plain):
    (_, exact), (_, rough) = plain, train(jax.devices()[:1], dtype=jnp.bfloat16)
    np.testing.assert_allclose([m["loss"] for m in rough], [m["loss"] for m in exact], rtol=0.02)


def test_the_average_follows_its_recursion():
    step = jax.jit(make_step(TASK, OPTIMISER, ema=0.15))
    state = new_state(ema=True)
    average: Any = state.params
    for n, batch in enumerate(batches(4)):
        state, _ = step(state, batch, KEY)
        decay = min(0.15, (1 + n) / (10 + n))  # 0.1 after no step, then 0.15
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, state.params)  # noqa: B023
        _close(state.ema, average, rtol=1e-5)
    assert not np.allclose(average["second"]["kernel"], state.params["second"]["kernel"])


@pytest.mark.parametrize("place", ["image", "params"])
def test_what_is_not_finite_changes_nothing(place):
    step, state, batch = jax.jit(make_step(TASK, OPTIMISER)), new_state(), batches(1)[0]
    if place == "image":
        batch.image[3, 2, 2] = np.nan
    else:  # a finite loss whose gradient is not: what comes out saturates
        state.params["second"]["kernel"] = state.params["second"]["kernel"].at[0].set(np.inf)
    after, metrics = step(state, batch, KEY)
    assert not np.isfinite([metrics["loss"], metrics["gradient_norm"]]).all()
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_a_step_that_recomputes_is_the_same_step(plain):
    _close(train(jax.devices()[:1], remat=True), plain)


@dataclass(frozen=True)
class Deep(TinyTask):
    """Ten residual blocks, each with two convolutions and two rectifiers."""

    def initial(self, key: Array) -> Any:
        params = {
            f"block{i}": ResBlock(4).init(key, jnp.zeros((1, 8, 8, 4)))["params"] for i in range(10)
        }
        return {"params": params}

    def loss(self, params: Any, stats: Any, batch: Any, *, key: Array, dtype: Any) -> Any:
        x: Any = batch
        for i in range(10):
            x = ResBlock(4).apply({"params": params[f"block{i}"]}, x)
        return jnp.mean(x**2), {}


def _kept(task, params, batch, *, remat):
    """Numbers that the gradient keeps of the forward pass, beside its arguments."""
    loss = make_loss(task, remat=remat)

    def backward(params):
        return jax.vjp(lambda p: loss(p, {}, batch, KEY)[0], params)[1]

    leaves = jax.tree.leaves(jax.eval_shape(backward, params))
    return sum(leaf.size for leaf in leaves if leaf.shape[:1] == batch.shape[:1])


def test_recomputing_keeps_the_outputs_of_blocks_alone():
    task = Deep()
    params, batch = task.initial(KEY)["params"], jnp.ones((32, 8, 8, 4))
    kept = {remat: _kept(task, params, batch, remat=remat) for remat in (False, True)}
    assert kept[True] <= 11 * batch.size < 40 * batch.size <= kept[False]


def test_the_state_is_a_copy_in_float32():
    variables = TASK.initial(KEY)
    variables["params"]["third"]["bias"] = np.ones(1, np.float16)
    state = create_state(variables, OPTIMISER, ema=True)
    assert {x.dtype for x in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    donated = jax.jit(make_step(TASK, OPTIMISER, ema=0.9), donate_argnums=0)
    donated(state, batches(1)[0], KEY)
    jax.block_until_ready(variables["params"]["first"]["kernel"] + 1)  # not given away


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate: expected 1 or more, found 0"),
        ({"ema": 1.0}, "ema: expected a decay between 0 and 1, found 1.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        make_step(TASK, OPTIMISER, **options)


def test_options_that_do_not_fit_batch_or_state():
    batch = batches(1)[0]
    with pytest.raises(ValueError, match="accumulate: 3 does not divide the batch of 8"):
        make_step(TASK, OPTIMISER, accumulate=3)(new_state(), batch, KEY)
    for state, ema in ((new_state(), 0.9), (new_state(ema=True), None)):
        with pytest.raises(ValueError, match="ema: the state must hold an average exactly where"):
            make_step(TASK, OPTIMISER, ema=ema)(state, batch, KEY)
