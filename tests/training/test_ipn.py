"""Rounds of a batch against a plain loop over frames, and scribbles reduced to clicks."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.interaction.error_scribbles import error_scribbles
from ivs_jax.ops.warp import warp
from ivs_jax.training.ipn import _as_clicks
from ivs_jax.training.losses import scales_cross_entropy
from ivs_jax.training.metrics import hard_iou
from tests.training.tasks import make_tiny, registered  # noqa: F401
from tests.training.test_rounds import plain_weights

LENGTH, ROUNDS = 3, 2


@pytest.mark.slow
def test_rounds_equal_a_plain_loop_over_frames(registered):  # noqa: F811
    tiny = make_tiny("ipn")
    assert (tiny.task.length, tiny.task.rounds) == (LENGTH, ROUNDS)
    batch = tiny.batch(1)
    batch.labels[:, :, :2] = 255
    net, window = tiny.task._net, tiny.task._net.config.window
    methods = {
        name: jax.jit(partial(net.apply, tiny.variables, method=name))
        for name in ("interact", "propagate", "aggregate")
    }
    frames = batch.frames[0].astype(np.float32) / np.float32(255)
    truth = np.where(batch.labels[0] == 255, -1, batch.labels[0]).astype(np.int8)

    @jax.jit
    def judged(found, truth):
        both = jnp.stack([truth == 1, truth < 0], -1).astype(jnp.float32)[None]
        target = warp(both, found.box, window)
        return scales_cross_entropy(found.logits, target[..., 0], void=target[..., 1])[0]

    masks: Any = np.zeros(truth.shape, np.float32)
    earlier, reference, losses = np.zeros(LENGTH, bool), None, []
    start, maps = int(batch.annotated[0]), batch.scribbles.astype(np.float32)
    key = jax.random.key(batch.seed[0])
    for number in range(ROUNDS):
        if number:
            start = int(np.argmin(hard_iou(masks > 0.5, jnp.asarray(truth))))
            own = jax.random.fold_in(key, number)
            maps = np.asarray(error_scribbles(masks[start], truth[start], own))[None]
        first = methods["interact"](
            frames[start][None], masks[start][None], maps[..., 0], maps[..., 1]
        )
        reference = methods["aggregate"](first.features, reference)
        weights, reached = plain_weights(start, earlier)
        terms = [judged(first, truth[start]) * (maps.sum() > 0)]
        new = masks.copy()
        new[start] = first.probability[0]
        for frame in [*range(start + 1, LENGTH), *range(start - 1, -1, -1)]:
            near = new[frame - 1 if frame > start else frame + 1]
            found = methods["propagate"](
                reference, frames[frame][None], masks[frame][None], near[None]
            )
            new[frame] = found.probability[0]
            if reached[frame]:
                terms.append(judged(found, truth[frame]))
        share = weights[:, None, None].astype(np.float32)
        masks = share * new + (1 - share) * masks
        earlier[start] = True
        losses.append(np.mean(terms))
    loss, metrics = tiny.loss(tiny.variables["params"], batch, jax.random.key(0))
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-3)
    np.testing.assert_allclose(
        metrics["iou"], float(jnp.mean(hard_iou(masks > 0.5, jnp.asarray(truth)))), atol=1e-2
    )


def test_a_scribble_becomes_a_click_on_one_of_its_pixels():
    scribbles = np.zeros((20, 24, 2), np.float32)
    scribbles[5:9, 3:20, 0] = 1
    centres = set()
    for seed in range(12):
        found = np.asarray(_as_clicks(jnp.asarray(scribbles), jax.random.key(seed)))
        assert found[..., 0].sum() == 13 and not found[..., 1].any()  # a cross dilated twice
        row, column = np.argwhere(found[..., 0]).mean(0)
        assert scribbles[int(row), int(column), 0] == 1
        centres.add((row, column))
    assert len(centres) > 3
