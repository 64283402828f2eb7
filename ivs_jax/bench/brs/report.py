"""Files of a `BrsReport`: JSON, a page of tables, a plot of energies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ivs_jax.bench.brs.run import TIMED, BrsReport, ModeFigures
from ivs_jax.bench.brs.solvers import OURS
from ivs_jax.bench.clock import Spread
from ivs_jax.evaluation.report.files import write_report
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.sections import Section, Table

STYLES = {"ivs_jax": ("-", "C0"), "SciPy": ("--", "C1"), "optax": (":", "C2")}


def write_brs(report: BrsReport, out: Path) -> None:
    """Writes report.json, report.md and energies.png into `out`."""
    write_report(out, report, brs_markdown(report), figures={"energies.png": energy_figure(report)})


def brs_markdown(report: BrsReport) -> str:
    """The report as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    about = (
        f"{report.objects} clicks on {report.data}, window {report.side} x {report.side}, at most "
        f"{report.budget} evaluations. Device: {report.device}; {versions}. "
        f"Times are medians / 95th percentiles of {min(report.objects, TIMED)} clicks."
    )
    ratios = (
        "Energies are medians over the clicks; ratios are to SciPy, that of time to the lowest "
        "energy that both reach."
    )
    overheads = ", ".join(f"{mode.mode} {100 * mode.overhead:.1f} %" for mode in report.modes)
    solvers = f"Solvers, {report.budget} evaluations without early stop"
    sections = [
        Section(text=about),
        Section("A click", table=_phases(report.modes)),
        Section(table=_evaluations(report.modes)),
        Section(solvers, ratios, _solvers(report.modes)),
        Section(text=f"Time of our loop beyond its evaluations: {overheads}."),
    ]
    if any(mode.batches for mode in report.modes):
        sections.append(Section("Batches", table=_batches(report.modes)))
    return to_markdown(f"Refinement of clicks by {report.model}", sections)


def energy_figure(report: BrsReport) -> Figure:
    """For each mode a row: median energy against evaluations, and against time."""
    rows = len(report.modes)
    figure = Figure(figsize=(9, 0.6 + 2.6 * rows), layout="constrained")
    for axes, mode in zip(figure.subplots(rows, 2, squeeze=False), report.modes, strict=True):
        _draw(axes[0], axes[1], mode)
    figure.suptitle(f"{report.model}, {report.objects} clicks on {report.data}, {report.device}")
    return figure


def _draw(by_count: Axes, by_time: Axes, mode: ModeFigures) -> None:
    for name, solver in mode.solvers.items():
        style, colour = STYLES[name]
        look: dict[str, Any] = {"linestyle": style, "color": colour, "label": name}
        look |= {"linewidth": 3.5, "alpha": 0.4} if name == OURS else {"linewidth": 1.5}
        counts = range(1, len(solver.energies) + 1)
        by_count.plot(counts, solver.energies, **look)
        by_time.plot([1e-3 * solver.evaluation_ms * n for n in counts], solver.energies, **look)
    by_count.set(xlabel="network evaluations", ylabel="median energy", title=mode.mode)
    by_time.set(xlabel="seconds", title=mode.mode)
    for axes in (by_count, by_time):
        axes.set(yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.legend()


def _phases(modes: Sequence[ModeFigures]) -> Table:
    phases = list(modes[0].phases.ms)
    header = ["ms", *phases, "compile (s)"]
    rows = [
        [m.mode, *(_cell(m.phases.ms[p]) for p in phases), f"{sum(m.phases.compile.values()):.1f}"]
        for m in modes
    ]
    return header, rows


def _evaluations(modes: Sequence[ModeFigures]) -> Table:
    rows: list[list[Any]] = []
    for mode in modes:
        p = mode.phases
        rows.append(
            [
                mode.mode,
                f"{mode.evaluation_ratio:.2f}",
                f"{mode.loop_ratio:.2f}",
                f"{p.evaluations.p50:.0f} / {p.evaluations.p95:.0f} ({p.mean_evaluations:.1f})",
                " -> ".join(f"{100 * share:.0f} %" for share in p.satisfied),
                " -> ".join(f"{energy:.4g}" for energy in p.energy),
            ]
        )
    header = [
        "",
        "evaluation / forward",
        "in a loop",
        "evaluations (mean)",
        "all clicks obeyed",
        "energy",
    ]
    return header, rows


def _solvers(modes: Sequence[ModeFigures]) -> Table:
    rows = [
        [
            mode.mode,
            name,
            f"{solver.energies[-1]:.4g}",
            f"{solver.energy_ratio:.3f}",
            f"{solver.evaluations:.0f}",
            f"{solver.evaluation_ms:.2f}",
            f"{solver.evaluation_ms * solver.evaluations:.0f}",
            f"{solver.time_ratio:.2f}",
        ]
        for mode in modes
        for name, solver in mode.solvers.items()
    ]
    header = ["", "solver", "energy", "ratio", "evaluations", "ms an evaluation", "ms"]
    header.append("time ratio")
    return header, rows


def _batches(modes: Sequence[ModeFigures]) -> Table:
    rows = [
        [
            mode.mode,
            batch.size,
            f"{batch.per_second:.2f}",
            f"{batch.gain:.2f}",
            f"{batch.evaluation_gain:.2f}",
            f"{batch.evaluations[0]:.1f} / {batch.evaluations[1]}",
            f"{batch.compile_seconds:.1f}",
        ]
        for mode in modes
        for batch in mode.batches
    ]
    header = [
        "",
        "batch",
        "clicks a second",
        "x one by one",
        "x of an evaluation",
        "evaluations mean / most",
        "compile (s)",
    ]
    return header, rows


def _cell(values: Spread) -> str:
    return f"{values.p50:.1f} / {values.p95:.1f}"
