"""`ivs train`: recipes, with every setting a flag."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg

EXAMPLES = """Train a network by a recipe: a Python file with RECIPE = Recipe(...).

A run goes on where it was with the same command, however it ended. SIGTERM, Ctrl-C and --time-limit
stop it with a checkpoint. Every setting of the recipe is a flag: ivs train RECIPE --help.

examples:
  ivs train experiments/stm_small.py --data DATA --out runs/stm_small --time-limit 9m
  ivs train experiments/stm_small.py --data DATA --from-released --optimiser.rates.decoder 1e-4
  ivs train experiments/brs_sbd.py --dry-run
  ivs train experiments/stm_main.py --data DATA --start runs/stm_pretrain
  ivs train experiments/stm_main.py --data DATA --coordinator 10.0.0.1:1234 --num-processes 2
      --process-id 0
"""
CODES = {"finished": 0, "time limit": 0, "SIGINT": 130, "SIGTERM": 143}


@dataclass(frozen=True)
class Train:
    recipe: Positional[Path]
    """Python file, see experiments/."""
    data: Path | None = None
    """Folder of the data sets; needed except for a dry run."""
    out: Path | None = None
    """Folder of the run; default: runs/NAME."""
    time_limit: Annotated[str | None, arg(metavar="9m")] = None
    """Stop after so many seconds (90s), minutes (9m) or hours (1.5h), with a checkpoint."""
    from_released: bool = False
    """Start from the weights that ship, instead of random ones."""
    start: Path | None = None
    """Start from a weights file, or from the best checkpoint of another run's folder."""
    dry_run: bool = False
    """Two steps on synthetic data of the right shapes; nothing is read or written."""
    coordinator: Annotated[str | None, arg(metavar="HOST:PORT")] = None
    """Of process 0, for a run over several processes; on clusters that JAX knows it is found."""
    num_processes: int | None = None
    """Processes of the run."""
    process_id: int | None = None
    """Number of this one, from 0."""
    settings: tyro.conf.Suppress[Any] = None
    """The recipe with its flags applied; None: as it is in the file."""

    def run(self) -> int:
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.parse import parse_duration
        from ivs_jax.training import distributed
        from ivs_jax.training.recipe import load_recipe

        limit = None if self.time_limit is None else parse_duration("--time-limit", self.time_limit)
        if self.from_released and self.start is not None:
            raise ValueError("--from-released and --start: give one of them")
        recipe = self.settings or load_recipe(self.recipe)
        enable_compilation_cache()
        host, _ = distributed.start(self.coordinator, self.num_processes, self.process_id)
        if self.dry_run:
            return _dry_run(recipe)
        if self.data is None:
            raise ValueError("--data: the folder of the data sets is missing")
        return self._train(recipe, limit, quiet=host > 0)

    def _train(self, recipe: Any, limit: float | None, *, quiet: bool) -> int:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        from ivs_jax.training.run import run

        assert self.data is not None
        variables = self._variables(recipe)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True, quiet=quiet)
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            line = bar.add_task(recipe.name, total=recipe.steps)
            outcome = run(
                recipe,
                self.out or Path("runs") / recipe.name,
                data=self.data,
                variables=variables,
                time_limit=limit,
                advance=lambda done, total: bar.update(line, completed=done),
            )
        return CODES[outcome.reason]

    def _variables(self, recipe: Any) -> Any:
        from ivs_jax.training.start import start_variables
        from ivs_jax.weights.store import load_weights

        if self.from_released:
            return load_weights(recipe.task.network)
        return None if self.start is None else start_variables(self.start, recipe.task.network)


def parse_train(args: Sequence[str]) -> Train:
    """The command of `ivs train ARGS`; the settings of the recipe it names are flags too."""
    file = next((word for word in args if word.endswith(".py")), None)
    if file is None:  # help, or an error that says what is missing
        return tyro.cli(Train, prog="ivs train", description=EXAMPLES, args=args)
    from ivs_jax.training.recipe import Recipe, load_recipe

    @dataclass(frozen=True)
    class Command:
        train: Annotated[Train, arg(name="")]
        settings: Annotated[Recipe, arg(name="")]

    command = tyro.cli(
        Command,
        prog="ivs train",
        description=EXAMPLES,
        args=args,
        default=Command(Train(tyro.MISSING_NONPROP), load_recipe(Path(file))),
        config=(tyro.conf.AvoidSubcommands,),
    )
    return replace(command.train, settings=command.settings)


def _dry_run(recipe: Any) -> int:
    import jax

    from ivs_jax.cli.show import print_table
    from ivs_jax.training.program import dry_run

    # Two steps are not worth fast code: compiling it would take most of the time.
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        metrics = dry_run(recipe)
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
    rows = [
        (f"step {number}", "  ".join(f"{name} {value:.4f}" for name, value in found.items()))
        for number, found in enumerate(metrics, 1)
    ]
    print_table(f"dry run of {recipe.name}: {recipe.task.network} on synthetic data", rows)
    return 0
