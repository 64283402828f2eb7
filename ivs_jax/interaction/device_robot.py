"""The click robot on the device: the rule of `interaction.robot`, pure and of static shapes."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from ivs_jax.ops.edt import squared_distances
from ivs_jax.types import BACKGROUND, OBJECT, PADDING, Clicks


class RobotClick(NamedTuple):
    """`xy` `[2]` int32, `label` int32 (1 or 0), and whether there was a pixel to click at all."""

    xy: Array
    label: Array
    found: Array


def next_click(truth: Array, prediction: Array, counted: Array, clicked: Clicks) -> RobotClick:
    """The next click, as `interaction.robot.next_click` gives it.

    Args:
      truth, prediction: `[H, W]` bool.
      counted: `[H, W]` bool, False where pixels are ignored and in what pads the image to a bucket,
        which is like the world outside.
      clicked: earlier clicks; their pixels are never clicked again.
    """
    wrong = (truth != prediction) & counted
    # Squared distances are integers: what is equally deep here is so with exact square roots too.
    depth = squared_distances(jnp.stack([wrong & truth, wrong & prediction]))
    height, width = truth.shape
    column, row = jnp.round(clicked.xy).astype(jnp.int32).T
    real = (clicked.label != PADDING) & (jnp.minimum(column, row) >= 0)
    depth = depth.at[:, jnp.where(real, row, height), column].set(0, mode="drop")
    flat = depth.reshape(2, height * width)
    (missed, false), places = flat.max(1), flat.argmax(1)  # of equals the first in raster order
    at = jnp.where(missed > false, places[0], places[1])
    return RobotClick(
        xy=jnp.stack([at % width, at // width]).astype(jnp.int32),
        label=jnp.where(missed > false, OBJECT, BACKGROUND).astype(jnp.int32),
        found=jnp.maximum(missed, false) > 0,
    )


def overlap(prediction: Array, truth: Array, counted: Array) -> tuple[Array, Array]:
    """Pixels of intersection and union of two masks `[H, W]` where `counted`, int32."""
    both, either = prediction & truth & counted, (prediction | truth) & counted
    return both.sum(dtype=jnp.int32), either.sum(dtype=jnp.int32)
