"""Both training steps end to end, on networks of the real structure and a tiny size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from ivs_jax.data.click_samples import ClickBatch
from ivs_jax.data.pairs import ClipBatch
from ivs_jax.models import Model, brs, initial_variables, mobilenet, stm
from ivs_jax.training.click import click_step, correction
from ivs_jax.training.optimiser import group_of, make_optimiser
from ivs_jax.training.state import create_state
from ivs_jax.training.stm import stm_step
from ivs_jax.types import Clicks

pytestmark = pytest.mark.slow  # compiles two training steps

SIDE, STEPS = 32, 12
CLICK = brs.ClickConfig(
    stages=tuple(brs.Stage(s, 8, 8, units=1, squeeze=4) for s in (16, 8, 4, 2)), fine=4
)
MEMORY = stm.STMConfig(key=4, value=8, decoder=(8, 8, 8))


def _squares(count, *, shift=0):
    """Bright squares on a dark ground: `[count, S, S, 3]` uint8 and their masks."""
    masks = np.zeros((count, SIDE, SIDE), bool)
    for n in range(count):
        masks[n, 8:22, 6 + 4 * n + shift : 20 + 4 * n + shift] = True
    images = np.where(masks[..., None], np.uint8(200), np.uint8(60))
    return np.repeat(images, 3, -1), masks


def _click_batch():
    images, masks = _squares(2)
    truth = masks.astype(np.int8)
    truth[:, :4] = -1
    xy, label = np.zeros((2, 4, 2), np.float32), np.full((2, 4), -1, np.int32)
    xy[:, 0], label[:, 0] = (14, 14), 1
    return ClickBatch(images, truth, Clicks(xy, label))


def _clip_batch():
    frames, masks = zip(*(_squares(2, shift=s) for s in (0, 2, 4)), strict=True)
    labels = np.stack(masks, 1).astype(np.uint8)
    labels[:, :, 24:30, 2:14] = 2
    labels[:, :, :4] = 255
    return ClipBatch(np.stack(frames, 1), labels)


@pytest.fixture(scope="module", autouse=True)
def shallow():
    """The backbone with one narrow block per stride, so that the steps compile fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet, "BLOCKS", ((8, 1), (8, 2), (8, 2), (8, 2)))
        yield


def _train(model, make_step, arguments):
    """Variables before and after `STEPS` steps on the same batch, and the metrics of each."""
    before = initial_variables(model, jax.random.key(1), side=SIDE)
    optimiser = make_optimiser(1e-3, 3e-3)
    # The step gives its buffers away, so it trains a copy.
    state = create_state(jax.tree.map(jnp.copy, before), optimiser)
    step, metrics = make_step(model.build(), optimiser), []
    for _ in range(STEPS):
        state, values = step(state, *arguments, jnp.float32(1))
        metrics.append({name: float(value) for name, value in values.items()})
    assert int(state.step) == STEPS
    return before, {"params": state.params, "batch_stats": state.stats}, metrics


@pytest.fixture(scope="module", params=["click", "stm"])
def run(request, shallow):
    if request.param == "click":
        arguments = _click_batch(), jnp.zeros((2, SIDE, SIDE))
        return _train(Model("click", CLICK), click_step, arguments)
    make = functools.partial(stm_step, objects=2)
    return _train(Model("propagation", MEMORY), make, (_clip_batch(),))


def test_the_loss_falls_on_a_repeated_batch(run):
    _, _, metrics = run
    losses = [m["loss"] for m in metrics]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.95 * losses[0]
    assert all(0 <= m["iou"] <= 1 for m in metrics)


def test_statistics_and_frozen_parameters_stay_and_the_others_move(run):
    before, after, _ = run
    for a, b in zip(*(jax.tree.leaves(v["batch_stats"]) for v in (before, after)), strict=True):
        np.testing.assert_array_equal(a, b)
    old, new = (traverse_util.flatten_dict(v["params"]) for v in (before, after))
    assert {group_of(path) for path in old} == {"frozen", "encoder", "decoder"}
    for path in old:
        moved = np.abs(np.asarray(new[path]) - np.asarray(old[path])).max()
        if group_of(path) == "frozen":
            assert moved == 0, path
        elif path[-1] != "slope":  # a slope that meets no negative value has no gradient
            assert moved > 0, path


def test_correction_adds_one_click_at_an_error_and_answers(key):
    model, batch = Model("click", CLICK), _click_batch()
    state = create_state(initial_variables(model, key, side=SIDE), make_optimiser(1e-3, 1e-2))
    correct = correction(brs.ClickNet(CLICK))
    found, previous = correct(state, batch, jnp.zeros((2, SIDE, SIDE)), key)
    assert previous.shape == (2, SIDE, SIDE)
    assert (previous >= 0).all() and (previous <= 1).all() and np.ptp(previous) > 0
    np.testing.assert_array_equal(found.image, batch.image)
    np.testing.assert_array_equal(found.clicks.xy[:, 0], batch.clicks.xy[:, 0])
    assert ((found.clicks.label >= 0).sum(1) == 2).all()
    for n in range(2):
        column, row = np.asarray(found.clicks.xy[n, 1]).astype(int)
        assert batch.truth[n, row, column] == found.clicks.label[n, 1]
        assert (previous[n, row, column] > 0.5) != bool(batch.truth[n, row, column])
    again, _ = correct(state, found, previous, key)
    assert ((again.clicks.label >= 0).sum(1) == 3).all()
