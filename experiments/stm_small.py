"""Trains `stm-small`, the propagation network that ships with the package.

    python experiments/stm_small.py --data ../shared/data --out runs/stm_small --minutes 90

`--data` as in `click_small.py`. Half of the clips are stills warped three times, half are three
frames of a DAVIS training sequence. A stopped run continues with the same command.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.data.davis import load_clips
from ivs_jax.data.pairs import ClipBatch, clip_batch
from ivs_jax.data.stills import load_stills, usable
from ivs_jax.models.mobilenet import load_keras
from ivs_jax.models.stm import STM
from ivs_jax.training.loop import Budget, prefetched, train
from ivs_jax.training.optimiser import make_optimiser
from ivs_jax.training.state import create_state
from ivs_jax.training.stm import stm_step

SHARES = {"coco": 0.45, "voc": 0.45, "horses": 0.1}
TWO_OBJECTS = 5  # every so many steps has two objects (and half the batch)


def initial_variables(net: STM, data: Path, size: int, seed: int) -> dict:
    """Random decoder, both encoders from ImageNet, the same keys for memory and query.

    With equal keys a query finds similar places in the memory from the first step on.
    """
    frame, masks = jnp.zeros((1, size, size, 3)), jnp.zeros((1, 1, size, size))
    variables = jax.jit(net.init)(jax.random.key(seed), frame, masks)
    out = {name: dict(part) for name, part in variables.items()}
    with np.load(data / "weights" / "mobilenet_v1_1.0_224_imagenet_keras.npz") as file:
        arrays = dict(file)
    for encoder in ("memory_encoder", "query_encoder"):
        loaded = load_keras({name: part[encoder] for name, part in variables.items()}, arrays)
        for name in out:
            out[name][encoder] = loaded[name]
    shared = jax.tree.map(jnp.copy, out["params"]["query_kv"]["Key"])  # its own, to be donated
    out["params"]["memory_kv"] = dict(out["params"]["memory_kv"]) | {"Key": shared}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/stm_small"))
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    stills = usable(
        [s for name in SHARES for s in load_stills(args.data / "stills" / name)], min_area=300
    )
    counts = {name: sum(s.source == name for s in stills) for name in SHARES}
    weights = np.array([SHARES[s.source] / counts[s.source] for s in stills])
    clips = load_clips(args.data / "davis", split="train", resolution="240p")
    print(f"{len(stills)} stills, {len(clips)} sequences", flush=True)

    def maker(objects: int):
        def make(rng: np.random.Generator) -> ClipBatch:
            return clip_batch(
                stills,
                weights / weights.sum(),
                clips,
                rng,
                batch=args.batch // objects,
                size=args.size,
                objects=objects,
                real=0.55,
                max_gap=12,
            )

        return make

    net, optimiser = STM(), make_optimiser(1e-4, 3e-4)
    steps = {n: stm_step(net, optimiser, objects=n) for n in (1, 2)}
    batches = {n: prefetched(maker(n), np.random.default_rng((args.seed, n))) for n in (1, 2)}

    def step(state, rng, factor):
        objects = 2 if rng.integers(TWO_OBJECTS) == 0 else 1
        return steps[objects](state, batches[objects](), factor)

    state = create_state(initial_variables(net, args.data, args.size, args.seed), optimiser)
    train(state, step, folder=args.out, budget=Budget(args.minutes), seed=args.seed)


if __name__ == "__main__":
    main()
