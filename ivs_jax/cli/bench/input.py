"""`ivs bench input`: the input pipeline of a recipe against its training step."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from ivs_jax.cli.bench.figures import Figures

INPUT = """Samples per second of a recipe's input pipeline, against the demand of its training step.

examples:
  ivs bench input experiments/click_small.py --data DATA
  ivs bench input experiments/stm_main.py --data DATA --demand 40 --workers 8
"""


@dataclass(frozen=True)
class Input(Figures):
    recipe: Positional[Path]
    """Python file, see experiments/."""
    data: Path
    """Folder of the data sets."""
    demand: float | None = None
    """Samples per second of a step elsewhere, on an accelerator say; default: the recipe's step is
    measured here."""
    workers: int | None = None
    """Processes of the feed; default: the recipe's."""
    seconds: float = 5.0
    """Time of each measurement."""

    def run(self) -> int:
        from ivs_jax.bench.input import demanding, recipe_step, run_input
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.training.recipe import load_recipe

        enable_compilation_cache()
        recipe = load_recipe(self.recipe).at(0)
        given = self.demand
        found = run_input(
            recipe.samples.open(self.data),
            recipe_step(recipe) if given is None else demanding(given, recipe.batch),
            batch=recipe.batch,
            seed=recipe.seed,
            workers=recipe.workers if self.workers is None else self.workers,
            seconds=self.seconds,
        )
        lines = [
            ("sampler, one core", f"{found.per_core:.1f}"),
            (f"feed, {found.workers or 'no'} processes", f"{found.fed:.1f}"),
            ("step" if given is None else "step, as given", f"{found.demand:.1f}"),
            ("feed / step", f"{found.ratio:.1f} x"),
            ("waiting for input", f"{100 * found.waited:.1f} % of the time"),
        ]
        title = f"{recipe.name}, samples per second, {found.cores} cores"
        figures = [found._asdict() | {"ratio": found.ratio, "recipe": recipe.name}]
        return self.show(title, lines, figures)
