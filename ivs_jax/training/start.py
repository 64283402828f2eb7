"""Weights that a run starts from or has reached."""

import json
from pathlib import Path
from typing import Any

from flax import traverse_util

from ivs_jax.training.checkpoint import best_step, read_checkpoint
from ivs_jax.weights.store import load_weights

Tree = Any


def start_variables(path: Path, network: str) -> Tree:
    """Variables of the network of that name: of a weights file, or the best of a run's folder.

    Raises ValueError naming the path if it is neither, or of another network.
    """
    if not path.is_dir():
        return load_weights(network, path=path)
    found, variables, _ = run_variables(path)
    if found != network:
        raise ValueError(f"{path}: a run of {found}, expected one of {network}")
    return variables


def run_variables(folder: Path, step: int | None = None) -> tuple[str, Tree, int]:
    """The network's name, its variables and the step of a checkpoint of a run.

    The averaged parameters where the run keeps an average. `step` is that of the checkpoint; None
    takes the best one or, without validation, the last. Raises ValueError naming the folder if it
    is of no run.
    """
    file = folder / "recipe.json"
    try:
        network = json.loads(file.read_text(encoding="utf-8"))["task"]["network"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: no recipe of a run there ({type(error).__name__})") from error
    step = best_step(folder / "checkpoints") if step is None else step
    arrays, _ = read_checkpoint(folder / "checkpoints" / str(step))
    tree = traverse_util.unflatten_dict({tuple(k.split(".")): v for k, v in arrays.items()})
    params = tree.get("ema", tree["params"])
    return network, {"params": params, "batch_stats": tree.get("stats", {})}, step
