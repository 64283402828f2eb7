"""Trains `click-small`, the click network that ships with the package.

    python experiments/click_small.py --data ../shared/data --out runs/click_small --minutes 90

`--data` holds `stills/{voc,coco,horses}` (images/ + masks/), `davis/` in DAVIS layout and
`weights/` with the ImageNet MobileNetV1 arrays. A stopped run continues with the same command.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.data.click_samples import ClickBatch, click_batch
from ivs_jax.data.davis import load_clips
from ivs_jax.data.stills import Still, load_stills, usable
from ivs_jax.models.brs import ClickNet
from ivs_jax.models.mobilenet import load_keras
from ivs_jax.training.click import click_step, correction
from ivs_jax.training.loop import Budget, prefetched, train
from ivs_jax.training.optimiser import make_optimiser
from ivs_jax.training.state import create_state

SHARES = {"coco": 0.5, "voc": 0.32, "horses": 0.06, "davis": 0.12}
CORRECTIONS = (0, 0, 1, 1, 2)  # corrected clicks before a step: one of these at random


def load_images(data: Path) -> tuple[list[Still], np.ndarray]:
    """All training stills (every 8th frame of the DAVIS training sequences) and their weights."""
    stills = [s for name in ("voc", "coco", "horses") for s in load_stills(data / "stills" / name)]
    for clip in load_clips(data / "davis", split="train", resolution="240p"):
        pairs = zip(clip.frames[::8], clip.labels[::8], strict=True)
        stills += [Still(f.copy(), np.minimum(m, 1), "davis") for f, m in pairs]
    stills = usable(stills)
    counts = {name: sum(s.source == name for s in stills) for name in SHARES}
    weights = np.array([SHARES[s.source] / counts[s.source] for s in stills])
    return stills, weights / weights.sum()


def initial_variables(net: ClickNet, data: Path, sample: ClickBatch, seed: int) -> dict:
    """Random decoder, ImageNet encoder, decoder statistics measured on one batch."""
    image = jnp.asarray(sample.image, jnp.float32) / 255
    maps, previous = jnp.zeros((*image.shape[:3], 2)), jnp.zeros(image.shape[:3])
    variables = jax.jit(net.init)(jax.random.key(seed), image, maps, previous)
    with np.load(data / "weights" / "mobilenet_v1_1.0_224_imagenet_keras.npz") as arrays:
        encoder = load_keras(
            {name: part["encoder"] for name, part in variables.items()}, dict(arrays)
        )
    filled = {name: dict(part) | {"encoder": encoder[name]} for name, part in variables.items()}
    _, measured = net.apply(filled, image, maps, previous, mutable=["batch_stats"])
    filled["batch_stats"] = dict(measured["batch_stats"]) | {"encoder": encoder["batch_stats"]}
    return filled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/click_small"))
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    stills, weights = load_images(args.data)
    print(f"{len(stills)} images", flush=True)

    def make(rng: np.random.Generator) -> ClickBatch:
        return click_batch(stills, weights, rng, batch=args.batch, size=args.size)

    net = ClickNet()
    sample = make(np.random.default_rng(args.seed))
    variables = initial_variables(net, args.data, sample, args.seed)
    optimiser = make_optimiser(2e-4, 1e-3)
    correct, update = correction(net), click_step(net, optimiser)
    following = prefetched(make, np.random.default_rng((args.seed, 1)))

    def step(state, rng, factor):
        batch, previous = following(), jnp.zeros((args.batch, args.size, args.size))
        for _ in range(rng.choice(CORRECTIONS)):
            key = jax.random.key(int(rng.integers(2**31)))
            batch, previous = correct(state, batch, previous, key)
        return update(state, batch, previous, factor)

    state = create_state(variables, optimiser)
    train(state, step, folder=args.out, budget=Budget(args.minutes), seed=args.seed)


if __name__ == "__main__":
    main()
