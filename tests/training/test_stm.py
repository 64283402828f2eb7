"""Clips with fewer objects than slots, and how a space-time memory network starts."""

from functools import partial

import jax
import numpy as np
import pytest

from ivs_jax.training import network_task
from ivs_jax.training.stm import STMTask
from tests.training.tasks import make_tiny, registered  # noqa: F401


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stm", "stm-published"])
def test_an_empty_slot_changes_neither_loss_nor_answer(registered, name):  # noqa: F811
    one = make_tiny(name, objects=1)
    batch = one.batch(1)
    batch.labels[:, :, :3] = 255
    found = []
    for tiny in (one, make_tiny(name, objects=2)):
        task, stats = tiny.task, tiny.variables["batch_stats"]

        def run(params, task=task, stats=stats):
            key = jax.random.key(0)
            loss, metrics = task.loss(params, stats, batch, key=key, dtype=np.float32)
            return loss, metrics["iou"], task.answer(params, stats, batch, key=key)

        found.append(jax.jit(run)(one.variables["params"]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)
    np.testing.assert_array_equal(found[0][2], found[1][2])
    assert set(np.unique(found[0][2])) <= {0, 1}
    if one.task.own:
        return
    expected = np.where(batch.labels[:, 0] == 255, 0, batch.labels[:, 0])
    np.testing.assert_array_equal(found[0][2][:, 0], expected)


def test_memory_and_query_start_with_the_same_keys(registered, monkeypatch):  # noqa: F811
    tiny = make_tiny("stm-published")
    monkeypatch.setattr(network_task, "initial_variables", lambda model, key: tiny.variables)
    params = tiny.task.initial(jax.random.key(0))["params"]
    keys = [params[name]["Key"] for name in ("memory_kv", "query_kv")]
    jax.tree.map(np.testing.assert_array_equal, *keys)
    assert np.any(params["memory_kv"]["Value"]["kernel"] != params["query_kv"]["Value"]["kernel"])


@pytest.mark.parametrize(("every", "memorised"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (9, [0])])
def test_every_so_manieth_frame_is_memorised(registered, monkeypatch, every, memorised):  # noqa: F811
    tiny = make_tiny("stm", length=5, every=every, objects=1)
    numbers, original = [], STMTask._memorised

    def spy(self, apply, queries, frames, t, masks):
        numbers.append(t)
        return original(self, apply, queries, frames, t, masks)

    monkeypatch.setattr(STMTask, "_memorised", spy)
    run = partial(tiny.task.loss, key=jax.random.key(0), dtype=np.float32)
    stats = tiny.variables["batch_stats"]
    _, metrics = jax.eval_shape(run, tiny.variables["params"], stats, tiny.batch(1))
    assert numbers == memorised and set(metrics) == {"iou", "own_iou"}
