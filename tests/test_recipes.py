"""Every recipe takes two steps, as `scripts/dry_run` does: on synthetic data of the right shapes.

Each runs in a process of its own with one device, so that the memory of one is free for the next.
"""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(p for p in (ROOT / "experiments").glob("*.py") if "\nRECIPE = " in p.read_text())


def test_the_recipes_are_found():
    assert {"brs_sbd", "ipn_main", "stm_pretrain", "stm_small"} <= {path.stem for path in RECIPES}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_two_steps_of_a_recipe_have_finite_losses(recipe):
    environment = {**os.environ, "XLA_FLAGS": "", "COLUMNS": "200"}
    program = "import sys; from ivs_jax.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "train", str(recipe), "--dry-run"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    losses = [float(value) for value in re.findall(r"\bloss (\S+)", done.stdout)]
    assert len(losses) == 2, done.stdout
    assert all(loss > 0 and math.isfinite(loss) for loss in losses), losses
