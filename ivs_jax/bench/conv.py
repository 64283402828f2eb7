"""What the package's convolutions buy, against plain `lax` convolutions, in and out of loops.

    ivs bench conv

Every row compares the same arithmetic: the plain `lax.conv_general_dilated` with autodiff's
gradient, and `ops.conv`. "loop" repeats it four times in a `fori_loop` and divides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ivs_jax.bench.clock import timed
from ivs_jax.ops.conv import LAYOUT, conv2d, depthwise_conv2d

REPEATS = 4


class Row(NamedTuple):
    """One comparison: milliseconds of the plain and of our form, and their ratio."""

    what: str
    plain_ms: float
    ours_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.plain_ms / self.ours_ms


def _plain(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def _plain_depthwise(x: Array, kernel: Array) -> Array:
    groups = x.shape[-1]
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (1, 1),
        "SAME",
        dimension_numbers=LAYOUT,
        feature_group_count=groups,
    )


def _milliseconds(function: Callable[..., Any], *args: Array) -> float:
    jax.block_until_ready(function(*args))
    return 1e3 * min(timed(function, *args)[1] for _ in range(5))


def _forms(operator: Callable[[Array, Array], Array]) -> dict[str, tuple[Callable[..., Any], int]]:
    """Forward and gradients, once and in a loop; with the number of repeats."""

    def energy(x: Array, kernel: Array) -> Array:
        return jnp.sum(operator(x, kernel) ** 2)

    def forward_loop(x: Array, kernel: Array) -> Array:
        return lax.fori_loop(0, REPEATS, lambda _, v: v - 1e-4 * operator(v, kernel), x)

    def gradient_loop(x: Array, kernel: Array) -> Array:
        step = jax.grad(energy)
        return lax.fori_loop(0, REPEATS, lambda _, v: v - 1e-4 * step(v, kernel), x)

    def kernel_gradient_loop(x: Array, kernel: Array) -> Array:
        step = jax.grad(energy, argnums=1)
        return lax.fori_loop(0, REPEATS, lambda _, v: v - 1e-4 * step(x, v), kernel)

    return {
        "forward": (operator, 1),
        "forward, loop": (forward_loop, REPEATS),
        "input gradient": (jax.grad(energy), 1),
        "input gradient, loop": (gradient_loop, REPEATS),
        "kernel gradient": (jax.grad(energy, argnums=1), 1),
        "kernel gradient, loop": (kernel_gradient_loop, REPEATS),
    }


def run_conv(*, side: int = 60, channels: int = 128) -> list[Row]:
    """Measures 3 x 3 and depthwise 3 x 3 on `[1, side, side, channels]` float32."""
    key = jax.random.key(0)
    x = jax.random.normal(key, (1, side, side, channels))
    dense = jax.random.normal(key, (3, 3, channels, channels)) / (9 * channels) ** 0.5
    deep = jax.random.normal(key, (3, 3, channels)) / 3
    cases = (
        ("3x3", _plain, conv2d, dense),
        ("depthwise 3x3", _plain_depthwise, depthwise_conv2d, deep),
    )
    rows = []
    for name, plain, ours, kernel in cases:
        pairs = zip(_forms(plain).items(), _forms(ours).values(), strict=True)
        for (what, (reference, repeats)), (function, _) in pairs:
            slow = _milliseconds(jax.jit(reference), x, kernel) / repeats
            fast = _milliseconds(jax.jit(function), x, kernel) / repeats
            rows.append(Row(f"{name} {what}", slow, fast))
    return rows
