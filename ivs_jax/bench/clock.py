"""Wall time of what runs and of what is compiled on the device."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class Spread(NamedTuple):
    """Median and 95th percentile of a sample."""

    p50: float
    p95: float


def spread(values: Sequence[float]) -> Spread:
    """`Spread` of one or more numbers."""
    return Spread(*(float(np.percentile(values, q)) for q in (50, 95)))


def timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Result and seconds of a call, until the device is done."""
    began = time.perf_counter()
    result = jax.block_until_ready(function(*args))
    return result, time.perf_counter() - began


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], float]:
    """`function` compiled for the shapes of `args`, and the seconds that it took."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    return program, time.perf_counter() - began
