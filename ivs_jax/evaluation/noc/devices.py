"""A batch over several devices; the only file of the evaluation that names `pmap`."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def over_devices(
    function: Callable[..., tuple[Any, Any]], devices: Sequence[jax.Device]
) -> Callable[..., tuple[Any, Any]]:
    """Compiles `function(variables, *batch) -> (carried, records)`, the batch split over `devices`.

    Arrays of `batch` have the batch first, a multiple of the number of devices; those of `records`
    second. NumPy arrays are split; what was `carried` stays where it is and is only to be passed
    back in. All devices get the same `variables`.
    """
    if len(devices) == 1:
        return jax.jit(function)
    program = jax.pmap(
        lambda variables, batch: function(variables, *batch), in_axes=(None, 0), devices=devices
    )

    def split(x: Any) -> Any:
        return x.reshape(len(devices), -1, *x.shape[1:]) if isinstance(x, np.ndarray) else x

    def joined(x: Any) -> np.ndarray:
        x = np.asarray(x).swapaxes(0, 1)  # [devices, turns, B / devices] -> turns first
        return x.reshape(x.shape[0], -1, *x.shape[3:])

    def run(variables: Any, *batch: Any) -> tuple[Any, Any]:
        carried, records = program(variables, jax.tree.map(split, batch))
        return carried, jax.tree.map(joined, records)

    return run
