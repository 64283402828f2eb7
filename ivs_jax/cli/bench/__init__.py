"""`ivs bench`: how fast, against a named reference in the same run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg, subcommand

BRS_EXAMPLES = """Refinement of clicks: latency by phase, energy and time against SciPy and optax.

Every mode of the network is measured on the same clicks, those of a robot on --data (images/ and
masks/, or another layout of ivs eval noc), else some on the photograph of the demo.

examples:
  ivs bench brs
  ivs bench brs --mode BRS --mode f-BRS-B --data stills/coco_mval --objects 100 --out bench_brs
"""
INPUT = """Samples per second of a recipe's input pipeline, against the demand of its training step.

examples:
  ivs bench input experiments/click_small.py --data DATA
  ivs bench input experiments/stm_main.py --data DATA --demand 40 --workers 8
"""
TRAINING = """Steps per second of a recipe's training step, against a large matrix product.

Without a recipe: stm-resnet50 on one clip of three frames of 256 x 256. Without --data: made-up
samples. Then the same step on several devices; on CPU these are virtual ones.

examples:
  ivs bench training
  ivs bench training experiments/stm_small.py --data DATA --devices 1,2,4
"""
ROUNDS = """A second round on 50 frames of 480 x 854: seconds against the frames that it computes.

examples:
  ivs bench rounds --propagation stm-small
  ivs bench rounds --propagation ipn-small --spans 12,47 --out rounds.json
"""
MODELS = "A frame of stm-resnet50 at 480 x 864 against the same network in PyTorch, on CPU."


def _figures(out: Path | None, title: str, lines: list[tuple[str, str]], rows: list[Any]) -> int:
    """Prints a table and writes the figures to the JSON file `out`."""
    from ivs_jax.cli.show import print_table
    from ivs_jax.evaluation.report.files import device_description, write_json

    print_table(f"{title}; {device_description()}", lines)
    if out is not None:
        write_json(out, {"device": device_description(), "rows": rows})
    return 0


@dataclass(frozen=True)
class Conv:
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.conv import run_conv

        rows = run_conv()
        lines = [
            (r.what, f"{r.plain_ms:8.2f} ms  {r.ours_ms:8.2f} ms  {r.ratio:6.1f} x") for r in rows
        ]
        figures = [r._asdict() | {"ratio": r.ratio} for r in rows]
        return _figures(self.out, "lax, ours, times faster", lines, figures)


@dataclass(frozen=True)
class Input:
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
    out: Path | None = None
    """JSON file for the figures."""

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
        return _figures(self.out, title, lines, figures)


@dataclass(frozen=True)
class Memory:
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.memory import run_memory

        short, long = run_memory()
        lines = [(f"{p.frames} frames", f"{p.mebibytes:.0f} MiB") for p in (short, long)]
        ratio = long.mebibytes / short.mebibytes
        figures = [short._asdict(), long._asdict(), {"ratio": ratio}]
        lines.append(("ratio", f"{ratio:.2f}"))
        return _figures(self.out, "peak memory of ivs segment", lines, figures)


@dataclass(frozen=True)
class Models:
    against: Literal["torch"] = "torch"
    """Reference."""
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.models import NAME, run_models

        found = run_models()
        lines = [
            ("ivs_jax", f"{found.ours:.2f} s"),
            (f"PyTorch, {found.threads} threads", f"{found.torch:.2f} s"),
            ("ratio", f"{found.ratio:.2f}"),
            ("largest relative difference", f"{found.difference:.1e}"),
        ]
        title = f"{NAME}, a frame of 480 x 864 without the memory"
        return _figures(self.out, title, lines, [found._asdict() | {"ratio": found.ratio}])


@dataclass(frozen=True)
class Brs:
    mode: UseAppendAction[tuple[str, ...]] = ()
    """Refinement mode, BRS, RGB-BRS, DistMap-BRS, f-BRS-A, f-BRS-B or f-BRS-C; may be repeated.
    Default: all that the network has."""
    model: str = "click-small"
    """Network that answers clicks."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    data: Path | None = None
    """Click data set; default: the photograph of the demo."""
    objects: int = 20
    """How many clicks, each of another object."""
    budget: int = 20
    """Network evaluations of a solve."""
    batch_sizes: Annotated[str, arg(metavar="N,...")] = "1,4,16"
    """Comma list of batch sizes."""
    patience: float = 60.0
    """Seconds that a batch may take; larger ones are left out."""
    out: Path | None = None
    """Folder for report.json, report.md and energies.png."""

    def run(self) -> int:
        from ivs_jax.bench.brs.report import as_markdown, write_report
        from ivs_jax.bench.brs.run import run_brs
        from ivs_jax.cli.parse import parse_numbers
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.models import model_named
        from ivs_jax.weights.checkpoint import sha256
        from ivs_jax.weights.store import check_used, find_weights, load_weights

        # Without the compilation cache: the time of compilation is one of the figures.
        sizes = parse_numbers("--batch-sizes", self.batch_sizes)
        network = model_named(self.model, kind="click").build()
        check_used(self.weights, (self.model,))
        file = find_weights(self.model, self.weights)
        with progress_bar("stages") as advance:
            report = run_brs(
                network,
                load_weights(self.model, path=file),
                name=self.model,
                fingerprint=sha256(file)[:16],
                modes=self.mode,
                objects=self.objects,
                batch_sizes=sizes,
                budget=self.budget,
                data=self.data,
                patience=self.patience,
                progress=advance,
            )
        print(as_markdown(report))
        if self.out is not None:
            write_report(report, self.out)
        return 0


@dataclass(frozen=True)
class Training:
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
    out: Path | None = None
    """JSON file for the figures."""

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
        return _figures(self.out, f"training of {found.recipe}", lines, figures)


@dataclass(frozen=True)
class Rounds:
    propagation: str = "stm-small"
    """Network that carries masks to other frames."""
    spans: Annotated[str, arg(metavar="N,...")] = "12,24,47"
    """Comma list of how many frames a round computes."""
    repeats: int = 2
    """How often each is measured; the shortest time counts."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.rounds import run_rounds, spread
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.parse import parse_numbers
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.session.build import load_propagator
        from ivs_jax.weights.store import check_used

        enable_compilation_cache()
        spans = parse_numbers("--spans", self.spans)
        if self.repeats < 1:
            raise ValueError(f"--repeats must be at least 1, got {self.repeats}")
        check_used(self.weights, (self.propagation,))
        propagator = load_propagator(self.propagation, weights=self.weights)
        with progress_bar("rounds") as advance:
            found = run_rounds(propagator, spans=spans, repeats=self.repeats, progress=advance)
        lines = [
            (
                f"{row.frames} frames",
                f"{row.seconds:.2f} s, {1000 * row.seconds / row.frames:.0f} ms each, "
                f"{row.compilations} compilations",
            )
            for row in found
        ]
        lines.append(("slowest / fastest frame", f"{spread(found):.3f}"))
        figures = [row._asdict() for row in found] + [{"ratio": spread(found)}]
        return _figures(self.out, f"second round, {self.propagation}", lines, figures)


@dataclass(frozen=True)
class Bench:
    what: (
        Annotated[
            Conv,
            subcommand(
                "conv",
                description="Our convolutions against plain lax convolutions, in and out of loops.",
            ),
        ]
        | Annotated[Input, subcommand("input", description=INPUT)]
        | Annotated[
            Memory,
            subcommand("memory", description="Peak of `ivs segment` on 2,000 frames against 200."),
        ]
        | Annotated[Models, subcommand("models", description=MODELS)]
        | Annotated[Brs, subcommand("brs", description=BRS_EXAMPLES)]
        | Annotated[Rounds, subcommand("rounds", description=ROUNDS)]
        | Annotated[Training, subcommand("training", description=TRAINING)]
    )

    def run(self) -> int:
        return self.what.run()
