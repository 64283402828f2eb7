"""What BRS computes on the device: the network on the whole image and on a tile, refinement.

Pure functions for `session.tiles`, which compiles them: the first once per image size, the others
once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.brs import ClickNet
from ivs_jax.models.densenet import MEAN_RGB
from ivs_jax.ops.distance import truncated_maps
from ivs_jax.ops.resize import resize_cubic
from ivs_jax.refine.brs import refine_input
from ivs_jax.refine.config import RefineConfig
from ivs_jax.types import BACKGROUND, OBJECT, Clicks


class TileAnswer(NamedTuple):
    """Image `[S, S, 3]` in [0, 1], interaction maps `[S, S, 2]`, probability `[S, S]`."""

    image: Array
    maps: Array
    probability: Array


class TileSolution(NamedTuple):
    """Refined maps `[S, S, 2]`, their probability `[S, S]`, and what the solver reports."""

    maps: Array
    probability: Array
    evaluations: Array
    energy: Array
    status: Array


def _predictor(net: ClickNet, variables: Any, image: Array) -> Callable[[Array], Array]:
    """For one image `[H, W, 3]`: maps `[H, W, 2]` -> logits `[H, W]`."""
    features: Any = net.apply(variables, image[None], method="encode")
    none = jnp.zeros((1, *image.shape[:2]))

    def logits(maps: Array) -> Array:
        out: Any = net.apply(variables, features, maps[None], none, method="predict")
        return out.logits[0]

    return logits


def on_whole(
    net: ClickNet, variables: Any, image: Array, clicks: Clicks, sides: tuple[int, int]
) -> Array:
    """Probability `[H, W]` of `image` `[H, W, 3]` uint8, seen at `sides`, where `clicks` are."""
    small = jnp.clip(jnp.round(resize_cubic(image.astype(jnp.float32), sides)), 0, 255) / 255
    probability = jax.nn.sigmoid(_predictor(net, variables, small)(truncated_maps(clicks, sides)))
    return resize_cubic(probability[..., None], (image.shape[0], image.shape[1]))[..., 0]


def on_tile(
    net: ClickNet, variables: Any, window: Array, extent: Array, known: Array, later: Clicks
) -> TileAnswer:
    """What the network sees of a tile and says to it.

    `window` `[S, S, 3]` is uint8, of which `extent` (H, W) lies in the image; the rest is 0 for the
    network. `known` `[S, S, 2]` are the maps of the clicks before `later`.
    """
    size = (window.shape[0], window.shape[1])
    inside = _inside(size, extent)
    mean = jnp.array(MEAN_RGB)[None, None]
    image = jnp.where(inside, window.astype(jnp.float32), mean) / 255
    # Refined maps may be negative. Only a new click of the same kind lifts them to 0, as published.
    new = jnp.stack([(later.label == kind).any() for kind in (OBJECT, BACKGROUND)])[None, None]
    maps = jnp.where(new, jnp.maximum(known, truncated_maps(later, size)), known)
    maps = jnp.where(inside, maps, 0.0)
    return TileAnswer(image, maps, jax.nn.sigmoid(_predictor(net, variables, image)(maps)))


def solve_tile(
    net: ClickNet,
    variables: Any,
    image: Array,
    extent: Array,
    maps: Array,
    clicks: Clicks,
    *,
    config: RefineConfig,
) -> TileSolution:
    """Refines the maps of a tile; `image` and `maps` as `on_tile` returns them.

    The maps outside the image are variables too, but are not kept.
    """
    logits = _predictor(net, variables, image)
    found = refine_input(lambda delta: logits(maps + delta), maps, clicks, config=config)
    kept = jnp.where(_inside((image.shape[0], image.shape[1]), extent), maps + found.x, 0.0)
    probability = jax.nn.sigmoid(found.aux)
    return TileSolution(kept, probability, found.evaluations, found.energy, found.status)


def _inside(size: tuple[int, int], extent: Array) -> Array:
    """Which pixels of a tile of `size` lie in the image, bool `[S, S, 1]`."""
    rows, columns = jnp.arange(size[0])[:, None, None], jnp.arange(size[1])[None, :, None]
    return (rows < extent[0]) & (columns < extent[1])
