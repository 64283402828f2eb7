"""Scribbles that correct a network while it trains, on the device: Bezier strokes over its errors.

The later rounds of a simulated user (experiments/papers/ipn.md, section 9.3), with static shapes:
on the object's missed pixels and on the false ones, one quadratic curve each through three of their
pixels.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.ops.distance import crosses
from ivs_jax.types import BACKGROUND, OBJECT, Clicks

_TRIES = 8  # curves of which the one that lies most in the error is taken
_POINTS = 64  # pixels drawn of a curve
_LEAST = 30  # pixels of error that a user bothers about


def error_scribbles(probability: Array, truth: Array, key: Array) -> Array:
    """Scribbles `[H, W, 2]` float32 on missed and on false pixels, as IPN draws them.

    `probability` `[H, W]`, `truth` `[H, W]` 1 object, 0 background, other values void. Before a
    first answer `probability` is 0: then there are scribbles on the object alone. An error of fewer
    than 30 pixels gets none. To be `vmap`ped over samples.
    """
    predicted = probability > 0.5
    errors = jnp.stack([(truth == 1) & ~predicted, (truth == 0) & predicted])
    xy, real = jax.vmap(_curve)(errors, jax.random.split(key, 2))
    label = jnp.where(real, jnp.array([[OBJECT], [BACKGROUND]]), -1)
    points = Clicks(xy.reshape(-1, 2), label.reshape(-1).astype(jnp.int32))
    return crosses(points, (truth.shape[0], truth.shape[1]))


def _curve(error: Array, key: Array) -> tuple[Array, Array]:
    """Points `[P, 2]` (x, y) of a curve over `error` `[H, W]`, and which lie on it `[P]`."""
    width = error.shape[1]
    flat = error.reshape(-1)
    total = jnp.sum(flat)
    # The n-th wrong pixel, n uniform: where the running count first exceeds n.
    order = jnp.cumsum(flat)
    picks = jax.random.randint(key, (_TRIES, 3), 0, jnp.maximum(total, 1))
    at = jnp.searchsorted(order, picks, side="right")
    ends = jnp.stack([at % width, at // width], -1).astype(jnp.float32)  # [tries, 3, (x, y)]
    t = jnp.linspace(0.0, 1.0, _POINTS)
    basis = jnp.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], -1)
    curves = jnp.round(jnp.einsum("pk,ckx->cpx", basis, ends))
    column, row = curves[..., 0].astype(jnp.int32), curves[..., 1].astype(jnp.int32)
    inside = error[row, column]
    best = jnp.argmax(jnp.sum(inside, 1) + 0.25 * _length(curves))
    return curves[best], inside[best] & (total >= _LEAST)


def _length(curves: Array) -> Array:
    """Length in pixels `[tries]` of curves `[tries, P, 2]`."""
    return jnp.sum(jnp.sqrt(jnp.sum(jnp.diff(curves, axis=1) ** 2, -1)), 1)
