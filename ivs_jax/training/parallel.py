"""Data parallel training; the only file of training that names `pmap`.

Every device computes the gradients of its part of the batch and gets the mean of all, on however
many hosts they are. State and metrics have no axis of devices: a state trained on eight devices
goes on on one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from ivs_jax.training.state import TrainState
from ivs_jax.training.step import Metrics, Step

AXIS = "devices"


def replicated_step(
    make: Callable[[str | None], Step], devices: Sequence[jax.Device] | None = None
) -> Step:
    """Compiles the step that `make(axis_name)` builds for `devices`, all of all hosts by default.

    The batch `[N, ...]` of the step returned is this host's part, a multiple of its devices, and
    is split over them in order; the state given is given away.
    """
    devices = list(jax.devices() if devices is None else devices)
    here = [device for device in devices if device.process_index == jax.process_index()]
    if len(devices) == 1:
        return jax.jit(make(None), donate_argnums=0)
    program = jax.pmap(
        make(AXIS),
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=(None, None),
        devices=devices,
        donate_argnums=0,
    )

    def split(x: Any) -> Any:
        if x.shape[0] % len(here):
            raise ValueError(
                f"batch: {x.shape[0]} samples of this host on its {len(here)} devices, "
                "expected a multiple"
            )
        return x.reshape(len(here), -1, *x.shape[1:])

    def step(state: TrainState, batch: Any, key: Array) -> tuple[TrainState, Metrics]:
        if jax.process_count() > 1 and len(here) > 1:
            state = jax.tree.map(_from_host, state)
        state, metrics = program(state, jax.tree.map(split, batch), key)
        if devices[0].platform == "cpu":
            jax.block_until_ready(metrics)  # many waiting all-reduces of virtual devices abort
        return state, metrics

    return step


def _from_host(x: Any) -> Any:
    """A NumPy array of what lies on one device alone, as a state does before the first step.

    JAX 0.10 spreads it over the devices of a host without a copy for its own one, and then deletes
    it because it is given away.
    """
    alone = isinstance(x, jax.Array) and len(x.sharding.device_set) == 1
    return np.asarray(x) if alone else x
