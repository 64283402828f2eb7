"""Prediction and refinement at a click network's input size, as one pure function to compile.

A network whose config says `flip` is asked about the mirror image too (f-BRS;
experiments/papers/brs.md, sections B5 and B6): the two are one batch, both count in the energy, and
their logits are averaged.

`answer` is pure and may be put under `jit`, `vmap` (over windows, previous masks, clicks and
starts, with the variables shared) and `scan`; items of a batch stop by themselves, see
`refine.lbfgs`. Warm start is the caller's: f-BRS starts every click from the `x` of the one before
(experiments/papers/brs.md, section B5), also in another window; input modes only while the window
stays.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.models.resnet import IMAGENET_STD
from ivs_jax.refine.brs import refine_input
from ivs_jax.refine.config import RefineConfig
from ivs_jax.refine.fbrs import refine_features
from ivs_jax.refine.lbfgs import Solution
from ivs_jax.types import PADDING, Clicks


class Answer(NamedTuple):
    """What the network says, and what refinement reports.

    Attributes:
      logits: `[S, S]` float32.
      evaluations: int32 [], network evaluations of the refinement.
      energy: float32 [], at `logits`.
      status: int32 [], see `refine.solution`; FAILED if the start was not finite. 0 without
        refinement.
      x: what refinement found, float32: a change of the maps `[S, S, 2]` or of the normalised RGB
        `[S, S, 3]`, or scale and bias `[C]` of features; `()` without refinement.
    """

    logits: Array
    evaluations: Array
    energy: Array
    status: Array
    x: Any


def answer(
    net: Any,
    config: RefineConfig | None,
    variables: Any,
    window: Array,
    previous: Array,
    clicks: Clicks,
    start: Any = None,
    features: Any = None,
    *,
    dtype: Any = jnp.float32,
) -> Answer:
    """Predicts and refines at the network's input size; pure.

    Args:
      net: a click network with the methods of `models.brs.ClickNet`.
      config: of the refinement; without it the energy is 0 and no evaluation is counted. With less
        than `config.min_clicks` clicks in the window one evaluation is, and nothing is refined.
      variables: of the network.
      window: `[S, S, 3]` float32 in [0, 1].
      previous: `[S, S]` in [0, 1].
      clicks: in pixels of the window.
      start: where refinement starts, the `x` of an earlier answer; None starts at 0. (What a `scan`
        carries at first: zeros like `jax.eval_shape` of an answer says.)
      features: what `encode` made of the same window; None encodes it here.
      dtype: that the network computes in, e.g. bfloat16; `variables` should be of it too. What is
        optimised, logits and energies stay float32.
    """
    size, flip = (window.shape[0], window.shape[1]), net.config.flip

    def encoded(image: Array) -> Any:
        return encode(net, variables, image, dtype=dtype)

    def maps_of(clicks: Clicks) -> Array:
        return encode_clicks(clicks, size, net.config.maps, net.config.radius)

    features = encoded(window) if features is None else features
    before = copies(previous.astype(dtype), flip=flip)

    def logits_of(features: Any, maps: Array) -> Array:
        given = (variables, features, copies(maps.astype(dtype), flip=flip), before)
        return net.apply(*given, method="predict").logits.astype(jnp.float32)

    if config is None:
        logits = joined(logits_of(features, maps_of(clicks)))
        return Answer(logits, jnp.int32(0), jnp.float32(0), jnp.int32(0), ())
    maps = maps_of(first_clicks(clicks, config.network_clicks))
    targets = click_copies(clicks, size[1], flip=flip)
    idle = jnp.sum(jnp.asarray(clicks.label) != PADDING) < config.min_clicks
    options: Any = {"config": config, "start": start, "idle": idle}
    solution: Solution
    if config.variable == "maps":
        solution = refine_input(
            lambda delta: logits_of(features, maps + delta), maps, targets, **options
        )
    elif config.variable == "rgb":
        std = jnp.array(IMAGENET_STD)[None, None]  # the change is one of the normalised image
        solution = refine_input(
            lambda delta: logits_of(encoded(window + delta * std), maps),
            window,
            targets,
            **options,
        )
    else:
        given = (variables, features, copies(maps.astype(dtype), flip=flip), before)
        tapped = net.apply(*given, tap=config.mode, method="features_at")

        def head(x: Array) -> Array:
            given = (variables, tapped._replace(x=x))
            return net.apply(*given, tap=config.mode, method="head").logits.astype(jnp.float32)

        solution = refine_features(head, tapped.x, targets, **options)
    logits = joined(solution.aux)
    return Answer(logits, solution.evaluations, solution.energy, solution.status, solution.x)


def encode(net: Any, variables: Any, window: Array, *, dtype: Any = jnp.float32) -> Any:
    """Features of a window `[S, S, 3]` in [0, 1] that do not depend on clicks; pure."""
    images = copies(window.astype(dtype), flip=net.config.flip)
    return net.apply(variables, images, method="encode")


def copies(x: Array, *, flip: bool) -> Array:
    """`x` `[H, W, ...]` as a batch of one, or with its mirror image as a batch of two."""
    return jnp.stack([x, x[:, ::-1]]) if flip else x[None]


def click_copies(clicks: Clicks, width: int, *, flip: bool) -> Clicks:
    """`clicks` in the pixels of each of the `copies` of an image: `xy` `[B, N, 2]`."""
    xy, label = jnp.asarray(clicks.xy), jnp.asarray(clicks.label)
    if not flip:
        return Clicks(xy[None], label[None])
    mirrored = xy.at[:, 0].set(width - 1 - xy[:, 0])
    return Clicks(jnp.stack([xy, mirrored]), jnp.stack([label, label]))


def joined(logits: Array) -> Array:
    """Logits of `copies` `[B, H, W]` -> their mean in the pixels of the image `[H, W]`."""
    return logits[0] if logits.shape[0] == 1 else (logits[0] + logits[1, :, ::-1]) / 2


def first_clicks(clicks: Clicks, count: int | None) -> Clicks:
    """The first `count` clicks, as f-BRS limits what the network sees; None keeps all."""
    if count is None:
        return clicks
    early = jnp.cumsum(clicks.label != PADDING) <= count
    return Clicks(clicks.xy, jnp.where(early, clicks.label, PADDING))
