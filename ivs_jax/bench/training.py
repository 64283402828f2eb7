"""How fast a recipe trains: its step against a large matrix product, and what else takes time.

    ivs bench training
    ivs bench training experiments/stm_small.py --data DATA --out training.json

Steps and products are timed in turns, so that both see the same machine. Without a recipe it is
STM with ResNet-50 as published, on one clip of three frames.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.bench.clock import timed
from ivs_jax.data.pipeline import feed
from ivs_jax.models.cost import operations
from ivs_jax.training.checkpoint import Checkpoints
from ivs_jax.training.program import program
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.state import TrainState, create_state
from ivs_jax.training.step import make_loss
from ivs_jax.training.stm import STMTask

DEFAULT = Recipe("stm-resnet50", STMTask("stm-resnet50", side=256, objects=1), None, batch=1)
SIDES = {"cpu": 2048}  # of the matrices; elsewhere 8192


@dataclass(frozen=True)
class TrainingFigures:
    """What training costs on this machine.

    Attributes:
      recipe, network, precision, batch: what was trained.
      parameters: how many numbers the network has.
      operations: multiplications and additions of a step's gradient, in all, see `models.cost`.
      compile_seconds: until the first step was done.
      step_seconds: median of a step, its batch at hand.
      matmul_rate: operations per second of a large matrix product in the same precision, median.
      matmul_side: of its matrices.
      input_seconds: median wait for a batch of the feed, while steps run; None without data.
      checkpoint_seconds: how long training stands still for a checkpoint.
      written_seconds: until that checkpoint is on disk.
    """

    recipe: str
    network: str
    precision: str
    batch: int
    parameters: int
    operations: int
    compile_seconds: float
    step_seconds: float
    matmul_rate: float
    matmul_side: int
    input_seconds: float | None
    checkpoint_seconds: float
    written_seconds: float

    @property
    def rate(self) -> float:
        """Operations per second of the training step."""
        return self.operations / self.step_seconds

    @property
    def share(self) -> float:
        """The step's operations per second over those of the matrix product."""
        return self.rate / self.matmul_rate

    @property
    def steps_per_second(self) -> float:
        return 1 / self.step_seconds

    @property
    def samples_per_second(self) -> float:
        return self.batch / self.step_seconds

    def as_dict(self) -> dict[str, Any]:
        """All figures, those that follow from others too."""
        names = ("rate", "share", "steps_per_second", "samples_per_second")
        return asdict(self) | {name: getattr(self, name) for name in names}


def run_training(
    recipe: Recipe = DEFAULT,
    *,
    data: Path | None = None,
    steps: int = 5,
    matmul_side: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrainingFigures:
    """Measures the first stage of a recipe on one device, from random weights.

    Args:
      data: folder of the sets, whose samples then come from the recipe's feed; None trains on
        made-up ones of the same shapes.
      steps: that are timed, after two that are not.
      matmul_side: of the product; default: 2048 on CPU, else 8192.
    """
    if steps < 1:
        raise ValueError(f"--steps {steps}: expected 1 or more")
    if data is not None and recipe.samples is None:
        raise ValueError(f"--data: {recipe.name} has no samples of its own: name a recipe")
    recipe = recipe.at(0)
    with _batches(recipe, data) as (batch, following):
        key, state = jax.random.key(recipe.seed), initial_state(recipe)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        count = step_operations(recipe, state, batch)
        step = program(recipe, jax.devices()[:1])
        matmul, side = _matmul(recipe.dtype, matmul_side)
        (state, _), compile_seconds = timed(step, state, batch, key)
        state, _ = jax.block_until_ready(step(state, batch, key))  # else the first product waits
        times = []
        for done in range(steps):
            (batch, waited), (_, product) = timed(following), timed(matmul)
            (state, _), spent = timed(step, state, batch, key)
            times.append((waited, product, spent))
            progress(done + 1, steps)
    waited, product, spent = (statistics.median(column) for column in zip(*times, strict=True))
    paused, written = _checkpoint(state)
    return TrainingFigures(
        recipe=recipe.name,
        network=recipe.task.network,
        precision=recipe.precision,
        batch=recipe.batch,
        parameters=parameters,
        operations=count,
        compile_seconds=compile_seconds,
        step_seconds=spent,
        matmul_rate=2 * side**3 / product,
        matmul_side=side,
        input_seconds=None if data is None else waited,
        checkpoint_seconds=paused,
        written_seconds=written,
    )


def initial_state(recipe: Recipe) -> TrainState:
    """A state with random weights."""
    variables = recipe.task.initial(jax.random.key(recipe.seed))
    return create_state(variables, recipe.transformation(), ema=recipe.ema is not None)


def step_operations(recipe: Recipe, state: TrainState, batch: Any) -> int:
    """Multiplications and additions of the loss of a batch and its gradient.

    Those of the optimiser and of what `remat` computes again are not part of it. Of corrections by
    clicks, whose number is drawn, one counts.
    """
    gradient = jax.grad(make_loss(recipe.task), has_aux=True)
    shapes = jax.eval_shape(lambda: (state.params, state.stats, batch, jax.random.key(0)))
    return operations(lambda *inputs: gradient(*inputs)[0], *shapes)


@contextmanager
def _batches(recipe: Recipe, data: Path | None) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """A first batch and what gives the following ones."""
    if data is None:
        batch = recipe.task.example(recipe.batch, np.random.default_rng(recipe.seed))
        yield batch, lambda: batch
        return
    sampler = recipe.samples.open(data)
    opened = feed(sampler, seed=recipe.seed, batch=recipe.batch, workers=recipe.workers)
    with closing(opened) as batches:
        yield next(batches), lambda: next(batches)


def _matmul(dtype: Any, side: int | None) -> tuple[Callable[[], Array], int]:
    """A product of square matrices, compiled, and their side."""
    side = side or SIDES.get(jax.default_backend(), 8192)
    a, b = jax.random.normal(jax.random.key(0), (2, side, side), dtype)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(a, b))
    return lambda: product(a, b), side


def _checkpoint(state: TrainState) -> tuple[float, float]:
    """Seconds that the caller waits for a checkpoint, and until it is on disk."""
    with tempfile.TemporaryDirectory() as folder, Checkpoints(Path(folder)) as checkpoints:
        checkpoints.save(1, state, {})  # what the first one opens is not of every one
        checkpoints.wait()
        began = time.perf_counter()
        checkpoints.save(2, state, {})
        paused = time.perf_counter() - began
        checkpoints.wait()
        return paused, time.perf_counter() - began


def changed(
    recipe: Recipe, *, batch: int | None, side: int | None, precision: str | None
) -> Recipe:
    """The recipe with other samples a step, another side of its task's frames or precision."""
    options: dict[str, Any] = {"batch": batch, "precision": precision}
    if side is not None:
        options["task"] = replace(recipe.task, side=side)
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})


def training_lines(found: TrainingFigures) -> list[tuple[str, str]]:
    """The figures as lines of a table."""
    side = found.matmul_side
    lines = [
        ("network", f"{found.network}, {found.parameters / 1e6:.1f} M parameters"),
        ("batch", f"{found.batch} in {found.precision}"),
        ("step", f"{1e3 * found.step_seconds:.1f} ms, {found.steps_per_second:.2f} a second"),
        ("samples", f"{found.samples_per_second:.2f} a second"),
        ("operations of a step", f"{found.operations / 1e9:.1f} G"),
        ("achieved", f"{found.rate / 1e9:.1f} GFLOP/s"),
        (f"product of {side} x {side}", f"{found.matmul_rate / 1e9:.1f} GFLOP/s"),
        ("achieved / product", f"{100 * found.share:.1f} %"),
        ("waiting for input", "no --data"),
        ("standing still for a checkpoint", f"{1e3 * found.checkpoint_seconds:.1f} ms"),
        ("until it is on disk", f"{1e3 * found.written_seconds:.1f} ms"),
        ("compilation and first step", f"{found.compile_seconds:.1f} s"),
    ]
    if found.input_seconds is not None:
        lines[8] = ("waiting for input", f"{1e3 * found.input_seconds:.2f} ms a step")
    return lines
