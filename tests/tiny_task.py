"""A task that compiles in a second: three convolutions, with the randomness of a real one."""

import json
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.models.layers import block_output
from ivs_jax.ops.conv import conv2d
from ivs_jax.training.distributed import start
from ivs_jax.training.losses import binary_cross_entropy
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.parallel import replicated_step
from ivs_jax.training.state import TrainState, create_state
from ivs_jax.training.step import make_step

SIDE, CHANNELS, STEPS = 8, 6, 4


class TinyBatch(NamedTuple):
    """`image` `[N, S, S, 3]` float32, `truth` `[N, S, S]` int8, `seed` `[N]` uint32."""

    image: Any
    truth: Any
    seed: Any


@dataclass(frozen=True)
class TinyTask:
    """Groups: "frozen" (the first kernel), "encoder" and "decoder".

    Its loss has noise of each sample from `seed` and a brightness of all from `key`.
    """

    def group(self, path: tuple[str, ...]) -> str:
        return {"first": "frozen", "second": "encoder"}.get(path[0], "decoder")

    def initial(self, key: Array) -> Any:
        sizes = {"first": (3, CHANNELS), "second": (CHANNELS, CHANNELS), "third": (CHANNELS, 1)}
        keys = jax.random.split(key, len(sizes))
        params = {
            name: {"kernel": 0.3 * jax.random.normal(k, (3, 3, *size)), "bias": jnp.zeros(size[1])}
            for k, (name, size) in zip(keys, sizes.items(), strict=True)
        }
        return {"params": params, "batch_stats": {"mean": jnp.full(3, 0.5)}}

    def example(self, batch: int, rng: np.random.Generator) -> TinyBatch:
        truth = rng.integers(-1, 2, (batch, SIDE, SIDE)).astype(np.int8)
        image = rng.random((batch, SIDE, SIDE, 3), np.float32)
        image[..., 0] += truth == 1
        return TinyBatch(image, truth, rng.integers(2**32, size=batch, dtype=np.uint32))

    def loss(self, params: Any, stats: Any, batch: Any, *, key: Array, dtype: Any) -> Any:
        keys = jax.vmap(jax.random.key)(batch.seed)
        noise = jax.vmap(lambda k: jax.random.normal(k, (SIDE, SIDE, 3)))(keys)
        image = batch.image - stats["mean"][None, None, None] + 0.1 * noise
        x = (image * jax.random.uniform(key, (), minval=0.5, maxval=1.5)).astype(dtype)
        for name in ("first", "second", "third"):
            part = params[name]
            x = conv2d(jnp.tanh(x), part["kernel"]) + part["bias"][None, None, None]
            x = block_output(x)
        loss = jnp.mean(binary_cross_entropy(x[..., 0], batch.truth))
        wrong = (x[..., 0] > 0) != (batch.truth == 1)
        return loss, {"error": jnp.mean(wrong.astype(jnp.float32))}


TASK: Any = TinyTask()  # no more of a task than a step needs
OPTIMISER = Optimiser(
    rates={"encoder": 1e-2, "decoder": 3e-2}, schedule="cosine", warmup=2, clip=1.0
).build(TASK.group, steps=20)


def new_state(*, ema: bool = False) -> TrainState:
    return create_state(TASK.initial(jax.random.key(0)), OPTIMISER, ema=ema)


def batches(count: int = STEPS, batch: int = 8) -> list[TinyBatch]:
    return [TASK.example(batch, np.random.default_rng((0, i))) for i in range(count)]


def train(
    devices: Any = None, *, shard: tuple[int, int] = (0, 1), **options: Any
) -> tuple[TrainState, list[dict[str, float]]]:
    """State and metrics after `STEPS` steps on this host's share of each batch."""
    step = replicated_step(
        lambda axis_name: make_step(TASK, OPTIMISER, axis_name=axis_name, **options), devices
    )
    state, metrics = new_state(ema="ema" in options), []
    for i, batch in enumerate(batches()):
        own = len(batch.seed) // shard[1]
        part = jax.tree.map(lambda x: x[shard[0] * own : (shard[0] + 1) * own], batch)  # noqa: B023
        state, found = step(state, part, jax.random.fold_in(jax.random.key(1), i))
        metrics.append({name: float(value) for name, value in found.items()})
    return state, metrics


def figures(state: TrainState, metrics: list[dict[str, float]]) -> dict[str, Any]:
    """What two runs must agree on, as JSON."""
    flat = jax.tree.map(lambda x: np.asarray(x).ravel().tolist(), jax.tree.leaves(state.params))
    return {"metrics": metrics, "params": sum(flat, []), "step": int(state.step)}


if __name__ == "__main__":  # one process of a run: [HOST:PORT, processes, index]
    at = sys.argv[1:]
    shard = start(at[0], int(at[1]), int(at[2])) if at else start()
    found = figures(*train(shard=shard))
    print(json.dumps(found | {"shard": shard, "devices": jax.device_count()}))
