"""A recipe: everything that decides what a run computes, as plain data."""

import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import optax

from ivs_jax.data.augment import Colour
from ivs_jax.io.atomic import atomic
from ivs_jax.training.optimiser import Optimiser


@dataclass(frozen=True)
class Stage:
    """Settings that change during a run.

    Attributes:
      start: share of the steps, in (0, 1), after which it begins.
      task, samples: fields of the recipe's task and samples that are then others.
    """

    start: float
    task: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how; a file of `experiments/` holds one as `RECIPE`.

    Attributes:
      name: of the run.
      task: see `training.task.Task`.
      samples: settings of the sampler, `ClickSamples`, `ClipSamples` or `ScribbleSamples`.
      held_out: the same of other data, for validation; None for none.
      held_out_task: fields of the task that are others in validation.
      batch: samples of a step, on all devices of all hosts together.
      steps: of the whole run; schedules follow them.
      colour: changes of light on the device; None for none.
      optimiser: learning rates, schedule, clipping.
      stages: settings that change on the way, in order.
      imagenet: file with ImageNet weights of the encoders, relative to the data; "" for none.
      precision: that networks compute in; parameters are float32.
      accumulate: parts of a device's batch, one after the other, to save memory.
      remat: compute activations again in the gradient, to save memory.
      ema: decay of an average of the parameters, which is then validated and released.
      log_every, validate_every, save_every: steps between lines, validations and checkpoints; there
        is a checkpoint at every validation too.
      validation_batches: of `batch` samples each.
      score: metric of validation that says which checkpoint is the best: the largest.
      seed: of initial weights, samples and steps.
      workers: processes that make samples; 0 for threads of this one.
    """

    name: str
    task: Any
    samples: Any
    held_out: Any = None
    held_out_task: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 4
    steps: int = 1000
    colour: Colour | None = Colour()
    optimiser: Optimiser = field(default_factory=Optimiser)
    stages: tuple[Stage, ...] = ()
    imagenet: str = ""
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    remat: bool = False
    ema: float | None = None
    log_every: int = 20
    validate_every: int = 500
    save_every: int = 200
    validation_batches: int = 4
    score: str = "iou"
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        least = ("batch", "steps", "log_every", "validate_every", "save_every", "accumulate")
        for name in (*least, "validation_batches"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"recipe {self.name}: {name} is {getattr(self, name)}, expected 1 or more"
                )
        if self.batch % self.accumulate:
            parts = f"accumulate {self.accumulate} does not divide the batch of {self.batch}"
            raise ValueError(f"recipe {self.name}: {parts}")
        starts = [stage.start for stage in self.stages]
        if starts != sorted(set(starts)) or not all(0 < start < 1 for start in starts):
            expected = "expected rising shares between 0 and 1"
            raise ValueError(f"recipe {self.name}: stages start at {starts}, {expected}")

    def boundaries(self) -> tuple[int, ...]:
        """Steps after which another stage begins."""
        return tuple(round(stage.start * self.steps) for stage in self.stages)

    def at(self, step: int) -> "Recipe":
        """The recipe with the task and samples of the step after `step` steps, without stages."""
        task, samples = self.task, self.samples
        for stage, start in zip(self.stages, self.boundaries(), strict=True):
            if start <= step:
                task, samples = replace(task, **stage.task), replace(samples, **stage.samples)
        return replace(self, task=task, samples=samples, stages=())

    @property
    def dtype(self) -> Any:
        return {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[self.precision]

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser of this run."""
        return self.optimiser.build(self.task.group, steps=self.steps)


def load_recipe(path: Path) -> Recipe:
    """The `RECIPE` of a Python file; ValueError naming the file if it has none."""
    if not path.is_file():
        raise ValueError(f"{path}: no such recipe, expected a Python file as in experiments/")
    name = f"ivs_jax_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # classes look it up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is a program
        raise ValueError(f"{path}: cannot be run ({error!r})") from error
    found = getattr(module, "RECIPE", None)
    if not isinstance(found, Recipe):
        raise ValueError(f"{path}: expected RECIPE = Recipe(...), found {type(found).__name__}")
    return found


def write_recipe(path: Path, recipe: Recipe) -> list[str]:
    """Writes all settings as JSON; returns what has changed against the file that was there."""
    content = json.loads(json.dumps(asdict(recipe), default=repr))
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else content
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    old, new = _flat(before), _flat(content)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {old.get(name)} -> {new.get(name)}" for name in names]


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, dict):
        items: Any = content.items()
    elif isinstance(content, list) and any(isinstance(v, dict | list) for v in content):
        items = enumerate(content)
    else:
        return {prefix: content}
    parts = [_flat(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in items]
    return {name: value for part in parts for name, value in part.items()}
