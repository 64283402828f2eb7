"""Losses of each click network and the corrections, against plain ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.interaction.sampling import error_clicks
from ivs_jax.models.brs import ClickOutput
from ivs_jax.training.losses import normalised_focal, soft_iou
from ivs_jax.types import Clicks
from tests.training.tasks import make_tiny, registered  # noqa: F401


def outputs():
    rng = np.random.default_rng(0)
    logits, coarse = rng.normal(size=(2, 3, 4, 5)).astype(np.float32) * 2
    return ClickOutput(logits, coarse), rng.choice([-1, 0, 1], (3, 4, 5))


def entropy(logits, truth):
    """Cross-entropy of each sample, written out."""
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    right = np.where(truth == 1, p, 1 - p)
    return np.array(
        [-np.log(q[t >= 0]).mean() for q, t in zip(right, truth, strict=True)], np.float64
    )


@pytest.mark.parametrize("name", ["brs", "click", "deeplab", "hrnet", "ritm"])
def test_every_network_has_its_published_loss(registered, name):  # noqa: F811
    out, truth = outputs()
    focal = np.asarray(normalised_focal(out.logits, truth))
    fine, coarse = entropy(out.logits, truth), entropy(out.coarse, truth)
    small = focal + 0.4 * np.asarray(normalised_focal(out.coarse, truth))
    expected = {
        "brs": fine + coarse,
        "click": small + np.asarray(soft_iou(jax.nn.sigmoid(out.logits), truth)),
        "deeplab": 0.5 * focal,
        "hrnet": 0.5 * focal + 0.4 * coarse,
        "ritm": 0.5 * focal + 0.4 * coarse,
    }
    found = make_tiny(name).task._terms(out, jnp.asarray(truth))
    np.testing.assert_allclose(found, expected[name], rtol=1e-5)


@pytest.mark.slow
def test_corrections_equal_a_plain_loop_over_samples(registered):  # noqa: F811
    tiny = make_tiny("click", corrections=(2,))
    net, batch, side = tiny.task._net, tiny.batch(), tiny.task.side
    image = jnp.asarray(batch.image) / np.float32(255)

    @jax.jit
    def predict(clicks, previous):
        encode = jax.vmap(lambda c: encode_clicks(c, (side, side), "disks", 5.0))
        return net.apply(tiny.variables, image, encode(clicks), previous).logits

    clicks, previous = batch.clicks, jnp.zeros((2, side, side))
    for i in range(2):
        previous = jax.nn.sigmoid(predict(clicks, previous))
        chosen = []
        for n in range(2):
            own = jax.random.fold_in(jax.random.key(batch.seed[n]), i)
            one = Clicks(clicks.xy[n : n + 1], clicks.label[n : n + 1])
            chosen.append(error_clicks(one, previous[n : n + 1], batch.truth[n : n + 1], own))
        clicks = Clicks(*(jnp.concatenate(x) for x in zip(*chosen, strict=True)))
    assert np.all((clicks.label >= 0).sum(1) == (batch.clicks.label >= 0).sum(1) + 2)

    @jax.jit
    def predicted(variables, batch):
        parts = variables["params"], variables["batch_stats"]
        return tiny.task._predicted(*parts, batch, jax.random.key(0), jnp.float32).logits

    expected = np.asarray(predict(clicks, previous))
    np.testing.assert_allclose(predicted(tiny.variables, batch), expected, atol=1e-3)
    without = predict(batch.clicks, jnp.zeros((2, side, side)))
    assert np.abs(without - expected).max() > 0.02  # the corrections count


@pytest.mark.slow
def test_measuring_gives_unit_variance_to_what_starts_from_scratch(registered):  # noqa: F811
    tiny = make_tiny("brs")
    params = tiny.variables["params"]
    fresh = jax.tree.map(lambda x: np.zeros_like(x), tiny.variables["batch_stats"])
    fresh = jax.tree_util.tree_map_with_path(
        lambda path, x: x + (path[-1].key == "variance"), fresh
    )
    known = {"mean": np.full(8, 0.5, np.float32), "variance": np.full(8, 2, np.float32)}
    fresh["encoder"]["stem_norm"] = known
    found = tiny.task.measured({"params": params, "batch_stats": fresh}, tiny.batch(8))
    stats = found["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, stats["encoder"]["stem_norm"], known)
    jax.tree.map(np.testing.assert_array_equal, found["params"], params)
    measured = jax.tree.leaves({k: v for k, v in stats.items() if k != "encoder"})
    before = jax.tree.leaves({k: v for k, v in fresh.items() if k != "encoder"})
    assert all(np.any(a != b) for a, b in zip(measured, before, strict=True))
