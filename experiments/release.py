"""Turns a training run into a released weights file: a checkpoint, by default the best, and curves.

python experiments/release.py runs/click_small ivs_jax/weights/released
"""

import argparse
import shutil
from pathlib import Path

from ivs_jax.training.start import run_variables
from ivs_jax.weights.store import save_weights, weights_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", type=int, help="of the checkpoint; default: the best one")
    args = parser.parse_args()
    network, variables, step = run_variables(args.run, args.step)
    path = weights_path(network, args.folder)
    save_weights(path, network, variables)
    if (args.run / "curves.png").exists():
        shutil.copy(args.run / "curves.png", args.folder / f"{network}.curve.png")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, step {step}")


if __name__ == "__main__":
    main()
