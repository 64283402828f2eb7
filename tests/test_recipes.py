"""Every recipe fits together in real shapes: its step is traced, and in CI some take real steps."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from ivs_jax.training.program import program
from ivs_jax.training.recipe import load_recipe
from ivs_jax.training.state import create_state

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(p for p in (ROOT / "experiments").glob("*.py") if "\nRECIPE = " in p.read_text())
NAMES = [path.stem for path in RECIPES]


def test_the_recipes_are_found():
    assert {"brs_sbd", "ipn_main", "stm_pretrain", "stm_small"} <= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_a_recipe_keeps_the_shapes_of_its_state(name):
    """In its last stage, without computing; `scripts/dry_run` computes in the first."""
    recipe = load_recipe(ROOT / "experiments" / f"{name}.py")
    recipe, key = recipe.at(recipe.steps), jax.random.key(0)
    ema = recipe.ema is not None
    state = jax.eval_shape(
        lambda: create_state(recipe.task.initial(key), recipe.transformation(), ema=ema)
    )
    batch = recipe.task.example(recipe.accumulate, np.random.default_rng(0))
    after, metrics = jax.eval_shape(program(recipe, jax.devices()[:1]), state, batch, key)
    assert jax.tree.map(_kind, after) == jax.tree.map(_kind, state)
    assert {"loss", "gradient_norm", recipe.score} <= metrics.keys()
    assert all(value.shape == () for value in metrics.values())


def _kind(x):
    return x.shape, x.dtype


@pytest.mark.ci
@pytest.mark.parametrize("name", ["brs_sbd", "stm_small"])
def test_two_steps_of_a_recipe_have_finite_losses(name):
    """As `scripts/dry_run` takes them, in a process of its own with one device."""
    environment = {**os.environ, "XLA_FLAGS": "", "COLUMNS": "200"}
    program = "import sys; from ivs_jax.cli import main; sys.exit(main(sys.argv[1:]))"
    recipe = ROOT / "experiments" / f"{name}.py"
    command = [sys.executable, "-c", program, "train", str(recipe), "--dry-run"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    losses = [float(value) for value in re.findall(r"\bloss (\S+)", done.stdout)]
    assert len(losses) == 2, done.stdout
    assert all(loss > 0 and math.isfinite(loss) for loss in losses), losses
