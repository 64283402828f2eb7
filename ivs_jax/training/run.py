"""A run: restore, then feed, step, log, validate, save, until the last step or a reason to stop.

What a run computes is a function of its recipe alone: sample i of the seed and i, randomness of
step n of the seed and n, rates of n. So a run that was stopped and continued, or killed, has the
same losses as one that was not. Time decides only where it stops.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.data.pipeline import Feed, feed
from ivs_jax.training.checkpoint import Checkpoints, flattened
from ivs_jax.training.guard import Guard, write_batch
from ivs_jax.training.lock import alone_in
from ivs_jax.training.log import Clock, Journal, Means
from ivs_jax.training.program import program
from ivs_jax.training.recipe import Recipe, write_recipe
from ivs_jax.training.state import TrainState, Tree, create_state
from ivs_jax.training.validation import Validation, first_batch

FINISHED = "finished"
CHECKPOINTS = "checkpoints"
MUST_BE_FINITE = ("loss", "gradient_norm")
Say = Callable[[str], None]
Advance = Callable[[int, int], None]


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
      state: after the last step.
      step: steps done, those of earlier runs in the folder too.
      reason: "finished", "time limit", "SIGTERM" or "SIGINT".
    """

    state: TrainState
    step: int
    reason: str


def run(
    recipe: Recipe,
    folder: Path,
    *,
    data: Path,
    variables: Tree | None = None,
    devices: Sequence[jax.Device] | None = None,
    time_limit: float | None = None,
    say: Say = print,
    advance: Advance = lambda done, total: None,
) -> Outcome:
    """Trains `recipe` in `folder`, from its newest checkpoint if there is one.

    Args:
      data: folder of the sets.
      variables: to start from; default: the task's own, with the recipe's ImageNet weights.
      devices: to compute on, by default all; the batch is split over them.
      time_limit: seconds after which the run stops, saved.
      say: gets lines of text, `advance` the steps done and all of them.

    Writes `checkpoints/`, `recipe.json`, `training.csv`, `validation.csv`, `curves.png`,
    `examples/` and `tensorboard/`. With several processes every one calls it, on a folder that they
    share; process 0 writes. Raises ValueError if another run is under way in the folder, if it is
    of another network or seed, if all its checkpoints are damaged, or if a loss is not finite: then
    its batch is written there.
    """
    devices = list(jax.devices() if devices is None else devices)
    if jax.process_index():
        say, advance = (lambda line: None), (lambda done, total: None)
    writes = alone_in(folder) if jax.process_index() == 0 else nullcontext()
    with writes, Guard(time_limit) as guard, Checkpoints(folder / CHECKPOINTS) as checkpoints:
        training = _Training(recipe, folder, data, devices, checkpoints, say)
        try:
            training.begin(variables)
            reason = training.go(guard, advance)
        finally:
            training.close()
        checkpoints.wait()
    say(f"{folder}: {reason} after step {training.step} of {recipe.steps}")
    return Outcome(training.state, training.step, reason)


class _Training:
    """The moving parts of a run."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        data: Path,
        devices: Sequence[jax.Device],
        checkpoints: Checkpoints,
        say: Say,
    ) -> None:
        self.recipe, self.folder, self.data = recipe, folder, data
        self.devices, self.checkpoints, self.say = devices, checkpoints, say
        self.key = jax.random.key(recipe.seed)
        self.step, self.means, self.before, self.clock = 0, Means(), 0.0, Clock()
        self.unread: tuple[int, Any, dict[str, jax.Array]] | None = None
        self.journal: Journal | None = None
        self.feed: Feed | None = None

    def begin(self, variables: Tree | None) -> None:
        """The state, new or the newest checkpoint's; then journal, validation, feed, program."""
        recipe = self.recipe
        make = partial(create_state, optimiser=recipe.transformation(), ema=recipe.ema is not None)
        like = jax.eval_shape(lambda: make(recipe.task.initial(self.key)))
        found = self.checkpoints.restore(like)
        if found is None:
            self.state = make(self._initial() if variables is None else variables)
            position = None
        else:
            self.state, self.step = jax.tree.map(jnp.asarray, found.state), found.step
            position = self._continue(found.notes)
        if jax.process_index() == 0:
            for change in write_recipe(self.folder / "recipe.json", recipe):
                self.say(f"{self.folder}: the recipe has changed, {change}")
            self.journal = Journal(self.folder, step=self.step)
        held_out = recipe.held_out is not None
        self.validation = Validation(recipe, self.data) if held_out else None
        self._enter_stage(position)

    def _initial(self) -> Tree:
        recipe = self.recipe.at(0)
        imagenet = self.data / recipe.imagenet if recipe.imagenet else None
        if imagenet is not None and not imagenet.is_file():
            raise ValueError(f"{imagenet}: no ImageNet weights of the encoder there (--imagenet)")
        # The same samples on every process, whatever its share of the batches is.
        first = first_batch(recipe.samples.open(self.data), seed=recipe.seed, batch=recipe.batch)
        return recipe.task.measured(recipe.task.initial(self.key, imagenet), first)

    def _continue(self, notes: dict[str, Any]) -> dict[str, Any] | None:
        """Takes over what was saved beside the state; returns where the feed was."""
        for name in ("seed", "batch"):
            if notes[name] != getattr(self.recipe, name):
                found = f"{name} {notes[name]}, the recipe has {getattr(self.recipe, name)}"
                raise ValueError(f"{self.folder}: a run with {found}")
        self.before, self.means = notes["seconds"], Means(notes["sums"], notes["count"])
        self.say(f"{self.folder}: continues after step {self.step} of {self.recipe.steps}")
        return None if self.step in self.recipe.boundaries() else notes["feed"]

    def _enter_stage(self, position: dict[str, Any] | None = None) -> None:
        """Feed and program of the stage that the next step is in."""
        recipe = self.recipe.at(self.step)
        if self.feed is not None:
            self.feed.close()
        sampler = recipe.samples.open(self.data)
        check_fit(recipe, first_batch(sampler, seed=recipe.seed, batch=1))
        self.feed = feed(
            sampler,
            seed=recipe.seed,
            batch=recipe.batch,
            shard=(jax.process_index(), jax.process_count()),
            workers=recipe.workers,
            start=self.step,
        )
        if position is not None:
            self.feed.set_state(position)

        self.program = program(recipe, self.devices)

    def go(self, guard: Guard, advance: Advance) -> str:
        """Takes steps to the last one or a reason to stop, which it returns, and saves."""
        recipe, boundaries = self.recipe, self.recipe.boundaries()
        reason = None
        advance(self.step, recipe.steps)
        while self.step < recipe.steps and reason is None:
            self._take_step()
            advance(self.step, recipe.steps)
            last = self.step == recipe.steps
            if last or self.step % recipe.log_every == 0:
                self._log()
            if last or self.step % recipe.validate_every == 0:
                self._save(self._validate())
            elif self.step % recipe.save_every == 0:
                self._save(None)
            reason = guard.reason(self.step)
            if self.step in boundaries and reason is None:
                self._enter_stage()
        if reason is None or self.step == recipe.steps:
            return FINISHED
        self._save(None)
        return reason

    def _take_step(self) -> None:
        assert self.feed is not None
        with self.clock.of("input"):
            batch = next(self.feed)
        key = jax.random.fold_in(self.key, self.step)
        self.state, metrics = self.program(self.state, batch, key)
        self._read()
        self.step += 1
        self.unread = self.step, batch, metrics

    def _read(self) -> None:
        """Reads the metrics of the step before, when the next is under way: no device waits."""
        if self.unread is None:
            return
        (step, batch, metrics), self.unread = self.unread, None
        values = {name: float(value) for name, value in metrics.items()}
        for name in MUST_BE_FINITE:
            if not np.isfinite(values[name]):
                host = f"_host{jax.process_index()}" if jax.process_count() > 1 else ""
                file = self.folder / f"not_finite_step{step}{host}.npz"
                write_batch(file, batch, {"step": step, "seed": self.recipe.seed, **values})
                self.checkpoints.wait()
                saved = self.checkpoints.steps()
                last = (
                    f"the last checkpoint is of step {saved[-1]}" if saved else "no checkpoint yet"
                )
                raise ValueError(f"{file}: {name} is {values[name]} for this batch, {last}")
        self.means.add(values)

    def _log(self) -> None:
        self._read()
        seconds, spent = self.clock.seconds, self.clock.spent
        self.clock.restart()
        self.before += seconds
        count, means = self.means.count, self.means.take()
        if self.journal is None:
            return
        speed = count / seconds
        times = {
            "minutes": self.before / 60,
            "steps_per_second": speed,
            **{f"{what}_share": value / seconds for what, value in spent.items()},
        }
        self.journal.training(self.step, means, times)
        self.say(_line(self.step, means, f"{speed:.2f} steps/s"))

    def _validate(self) -> float | None:
        """Measures the state; returns its score."""
        self._read()
        if self.validation is None:
            return None
        values, picture = self.validation(self.state)
        if self.recipe.score not in values:
            found = ", ".join(values)
            raise ValueError(f"score {self.recipe.score!r}: expected one of {found}")
        if self.journal is not None:
            self.journal.validation(self.step, values, picture)
        self.say(_line(self.step, values, "validation"))
        return values[self.recipe.score]

    def _save(self, score: float | None) -> None:
        self._read()
        assert self.feed is not None
        notes = {
            "seed": self.recipe.seed,
            "batch": self.recipe.batch,
            "seconds": self.before + self.clock.seconds,
            "sums": self.means.sums,
            "count": self.means.count,
            "feed": self.feed.get_state(),
        }
        with self.clock.of("save"):
            self.checkpoints.save(self.step, self.state, notes, score=score)

    def close(self) -> None:
        if self.feed is not None:
            self.feed.close()
        if self.journal is not None:
            self.journal.close()


def check_fit(recipe: Recipe, batch: Any) -> None:
    """Raises ValueError for the first array of a batch of one whose shape is not the task's."""
    expected = flattened(recipe.task.example(1, np.random.default_rng(0)))
    for name, array in flattened(batch).items():
        if name not in expected or array.shape != expected[name].shape:
            needed = expected[name].shape[1:] if name in expected else "none"
            raise ValueError(
                f"recipe {recipe.name}: samples have {name} of {array.shape[1:]}, "
                f"the task expects {needed}"
            )


def _line(step: int, values: dict[str, float], rest: str) -> str:
    return "  ".join([f"step {step}", *(f"{name} {v:.4f}" for name, v in values.items()), rest])
