"""A plain training loop: batches from a thread, cosine schedule over a time budget, checkpoints.

The budget is wall time, because that is what a run on a laptop or a lent GPU has; the learning
rate follows the elapsed share of it. A stopped run continues from its last checkpoint.
"""

import csv
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization

from ivs_jax.io.atomic import atomic

Step = Callable[[Any, np.random.Generator, float], tuple[Any, dict[str, jax.Array]]]


class Budget(NamedTuple):
    """Wall-time budget of a run.

    Attributes:
      minutes: in all, stops and restarts not counted.
      warmup: share of it in which the learning rate rises.
      every: seconds between checkpoints.
    """

    minutes: float
    warmup: float = 0.01
    every: float = 120.0


def prefetched(make: Callable[[np.random.Generator], Any], rng: np.random.Generator) -> Any:
    """Returns a function that gives the next batch; two are prepared ahead in a thread.

    An error in the thread is raised by the next call that has no batch left, and by all later ones.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=2)

    def work() -> None:
        while True:
            try:
                ready.put(make(rng))
            except Exception as error:
                ready.put(error)
                return

    threading.Thread(target=work, daemon=True).start()

    def following() -> Any:
        item = ready.get()
        if isinstance(item, Exception):
            ready.put(item)  # the thread is gone: a further call must not wait for it
            raise item
        return item

    return following


def cosine(progress: float, warmup: float) -> float:
    """Learning-rate factor in [0, 1] at `progress` in [0, 1] of the budget."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + float(np.cos(np.pi * min(progress, 1.0))))


def train(
    state: Any, step: Step, *, folder: Path, budget: Budget, seed: int, log_every: int = 10
) -> Any:
    """Runs `step(state, rng, factor)` until the budget is spent; returns the last state.

    Writes `checkpoint.msgpack`, `log.csv` and `curve.png` into `folder`, and continues from a
    checkpoint there. Raises ValueError if the loss is not finite (the last checkpoint stays), or
    if the checkpoint is damaged or of another network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state, elapsed, done = _restore(folder, state)
    rng = np.random.default_rng(seed + done)
    last_save = last_log = elapsed
    started = time.monotonic() - elapsed
    sums: dict[str, float] = {}
    summed = 0
    while elapsed < 60 * budget.minutes:
        factor = cosine(elapsed / (60 * budget.minutes), budget.warmup)
        state, metrics = step(state, rng, factor)
        values = {name: float(value) for name, value in metrics.items()}
        if not np.isfinite(values["loss"]):
            raise ValueError(f"{folder}: loss is {values['loss']} at step {done + 1}")
        done += 1
        elapsed = time.monotonic() - started
        sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
        summed += 1
        if done % log_every == 0:
            rate = summed / max(elapsed - last_log, 1e-9)
            _log(folder, done, elapsed, rate, {k: v / summed for k, v in sums.items()})
            sums, summed, last_log = {}, 0, elapsed
        if elapsed - last_save > budget.every:
            _save(folder, state, elapsed, done)
            last_save = elapsed
    _save(folder, state, elapsed, done)
    plot_log(folder)
    return state


def _save(folder: Path, state: Any, elapsed: float, done: int) -> None:
    content = {"state": state, "elapsed": elapsed, "done": done}
    with atomic(folder / "checkpoint.msgpack") as path:
        path.write_bytes(serialization.to_bytes(jax.device_get(content)))


def _restore(folder: Path, state: Any) -> tuple[Any, float, int]:
    path = folder / "checkpoint.msgpack"
    if not path.exists():
        return state, 0.0, 0
    template = {"state": state, "elapsed": 0.0, "done": 0}
    try:
        content = serialization.from_bytes(template, path.read_bytes())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: no complete checkpoint of this network ({reason})") from error
    _check_shapes(path, state, content["state"])
    print(f"{path}: continues at step {content['done']}", flush=True)
    return content["state"], float(content["elapsed"]), int(content["done"])


def _check_shapes(path: Path, expected: Any, found: Any) -> None:
    """Flax restores an array of any shape, so that a checkpoint of other sizes seems to fit."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(found), strict=True)
    for (name, old), new in pairs:
        if np.shape(old) != np.shape(new):
            where = f"{path}: {jax.tree_util.keystr(name)}"
            raise ValueError(f"{where} is {np.shape(new)}, this network has {np.shape(old)}")


def _log(folder: Path, done: int, elapsed: float, rate: float, means: dict[str, float]) -> None:
    path = folder / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "minutes", "steps_per_second", *means])
        writer.writerow(
            [done, f"{elapsed / 60:.2f}", f"{rate:.3f}", *(f"{v:.4f}" for v in means.values())]
        )
    text = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
    print(f"step {done}  {elapsed / 60:.1f} min  {rate:.2f} steps/s  {text}", flush=True)


def plot_log(folder: Path) -> None:
    """Draws `log.csv`, where there is one, as `curve.png`: every metric against steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if not (folder / "log.csv").exists():
        return  # the budget ended before the first line
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [n for n in rows[0] if n not in ("step", "minutes", "steps_per_second")]
    figure, axes = plt.subplots(1, len(names), figsize=(5 * len(names), 3.2), squeeze=False)
    steps = np.array([float(r["step"]) for r in rows])
    for axis, name in zip(axes[0], names, strict=True):
        values = np.array([float(r[name]) for r in rows])
        width = max(1, len(values) // 20)
        mean = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(steps, values, color="0.8", label="log interval")
        axis.plot(steps[width - 1 :], mean, color="C0", label="running mean")
        axis.set(xlabel="steps", ylabel=name)
        axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(folder / "curve.png", dpi=110)
    plt.close(figure)
