"""Clips with fewer objects than slots, and how a space-time memory network starts."""

import jax
import numpy as np
import pytest

from ivs_jax.training import network_task
from tests.training.tasks import make_tiny, registered  # noqa: F401


@pytest.mark.slow
def test_an_empty_slot_changes_neither_loss_nor_answer(registered):  # noqa: F811
    one = make_tiny("stm", objects=1)
    batch = one.batch(1)
    batch.labels[:, :, :3] = 255
    found = []
    for tiny in (one, make_tiny("stm", objects=2)):
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
    expected = np.where(batch.labels[:, 0] == 255, 0, batch.labels[:, 0])
    np.testing.assert_array_equal(found[0][2][:, 0], expected)


def test_memory_and_query_start_with_the_same_keys(registered, monkeypatch):  # noqa: F811
    tiny = make_tiny("stm")
    monkeypatch.setattr(network_task, "initial_variables", lambda model, key: tiny.variables)
    params = tiny.task.initial(jax.random.key(0))["params"]
    keys = [params[name]["Key"] for name in ("memory_kv", "query_kv")]
    jax.tree.map(np.testing.assert_array_equal, *keys)
    assert np.any(params["memory_kv"]["Value"]["kernel"] != params["query_kv"]["Value"]["kernel"])
