"""`ivs bench training`: a training step against a large matrix product."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from ivs_jax.cli.bench.figures import Figures

TRAINING = """Steps per second of a recipe's training step, against a large matrix product.

Without a recipe: stm-resnet50 on one clip of three frames of 256 x 256. Without --data: made-up
samples. Then the same step on several devices; on CPU these are virtual ones.

examples:
  ivs bench training
  ivs bench training experiments/stm_small.py --data DATA --devices 1,2,4
"""


@dataclass(frozen=True)
class Training(Figures):
    recipe: Positional[Path | None] = None
    """Python file, see experiments/."""
    data: Path | None = None
    """Folder of the data sets."""
    batch: int | None = None
    """Samples of a step; default: the recipe's."""
    side: int | None = None
    """Pixels of a side of the made-up frames; default: the recipe's."""
    precision: Literal["float32", "bfloat16"] | None = None
    """That the network computes in; default: the recipe's."""
    steps: int = 5
    """Steps that are timed."""
    devices: Annotated[str, arg(metavar="N,...")] = ""
    """Comma list of numbers of devices, such as 1,2,4; default: no comparison."""

    def run(self) -> int:
        from ivs_jax.bench.training import DEFAULT, changed, run_training, training_lines
        from ivs_jax.bench.training_scaling import run_scaling, scaling_lines
        from ivs_jax.cli.parse import parse_numbers
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.training.recipe import load_recipe

        # Without the compilation cache: the time of compilation is one of the figures.
        counts = parse_numbers("--devices", self.devices) if self.devices else ()
        recipe = load_recipe(self.recipe) if self.recipe else DEFAULT
        if self.side is not None and self.data is not None:
            raise ValueError("--side: frames of --data have the size of the recipe")
        recipe = changed(recipe, batch=self.batch, side=self.side, precision=self.precision)
        with progress_bar("steps") as advance:
            found = run_training(recipe, data=self.data, steps=self.steps, progress=advance)
        lines, figures = training_lines(found), [found.as_dict()]
        if counts:
            scaling = run_scaling(recipe, counts, steps=self.steps)
            lines += scaling_lines(scaling)
            figures += [row._asdict() for row in scaling]
        return self.show(f"training of {found.recipe}", lines, figures)
