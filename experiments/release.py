"""Turns a training run into a released weights file.

python experiments/release.py click-small runs/click_small ivs_jax/weights/released
"""

import argparse
import shutil
from pathlib import Path

from flax import serialization

from ivs_jax.weights.store import save_weights, weights_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    content = serialization.msgpack_restore((args.run / "checkpoint.msgpack").read_bytes())
    state = content["state"]
    args.folder.mkdir(parents=True, exist_ok=True)
    path = weights_path(args.model, args.folder)
    save_weights(path, args.model, {"params": state["params"], "batch_stats": state["stats"]})
    if (args.run / "curve.png").exists():
        shutil.copy(args.run / "curve.png", args.folder / f"{args.model}.curve.png")
    size, minutes = path.stat().st_size / 1e6, content["elapsed"] / 60
    print(f"{path}: {size:.1f} MB after {content['done']} steps, {minutes:.0f} min")


if __name__ == "__main__":
    main()
