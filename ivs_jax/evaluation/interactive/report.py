"""The report of an interactive evaluation: its sections, curve, table and files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.interactive.record import InteractiveReport, Results, key
from ivs_jax.evaluation.interactive.scores import time_curve
from ivs_jax.evaluation.report.files import write_report
from ivs_jax.evaluation.report.html import write_page
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.pictures import extremes, figure_png
from ivs_jax.evaluation.report.sections import Section, skipped_section

_PHASE_TITLES = {
    "marks": "marks",
    "propagation": "propagation",
    "compile": "of these, compilation",
    "robot": "not counted: robot",
    "scoring": "not counted: scoring",
}


def write_interactive(
    report: InteractiveReport,
    results: Results,
    *,
    out: str | Path | None = None,
    page: str | Path | None = None,
) -> None:
    """Writes files into `out` and the page into `page`, each unless it is None.

    `out`: report.json, report.md, per_round.csv, curve.png and strips/<sample>.jpg. `page`: one
    self-contained report.html.
    """
    if out is not None:
        write_report(
            Path(out),
            report,
            interactive_markdown(report),
            tables={"per_round.csv": _per_round(results)},
            figures={"curve.png": curve_figure(report)},
            pictures={f"strips/{name}.jpg": strip for name, strip in results.strips.items()},
        )
    if page is not None:
        write_page(page, _title(report), _facts(report), _page(report, results))


def interactive_markdown(report: InteractiveReport) -> str:
    """The report as Markdown."""
    summary = Section(text=_how(report), table=(["measure", "value"], [*_facts(report).items()]))
    return to_markdown(_title(report), [summary, *_sections(report)])


def curve_figure(report: InteractiveReport) -> Figure:
    """J&F against seconds and against rounds, a thin line for each sequence."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_time, by_round = figure.subplots(1, 2, sharey=True)
    rounds = range(1, report.rounds + 1)
    thin: dict[str, Any] = {"color": "tab:blue", "alpha": 0.25, "linewidth": 1}
    for scores in report.sequences.values():
        by_time.plot(*time_curve(scores["jf_per_round"], scores["seconds_per_round"]), **thin)
        by_round.plot(rounds, scores["jf_per_round"], **thin)
    for name, values in (("J&F", report.jf_per_round), ("J", report.j_per_round)):
        by_time.plot(*time_curve(values, report.seconds_per_round), marker="o", markersize=3)
        by_round.plot(rounds, values, marker="o", markersize=3, label=name)
    by_time.set(xlabel="seconds", ylabel="score", xlim=(0, None), ylim=(0, 1.02))
    by_round.set(xlabel="round", xticks=list(rounds))
    for axes in (by_time, by_round):
        axes.grid(alpha=0.3)
    by_round.legend(loc="lower right")
    return figure


def _title(report: InteractiveReport) -> str:
    return f"{report.dataset}, interactive: {report.model}"


def _how(report: InteractiveReport) -> str:
    marks = f"{report.clicks} clicks an object" if report.marks == "clicks" else "scribbles"
    limit = "without a limit of time"
    if report.seconds_per_object is not None:
        limit = f"{report.seconds_per_object:g} s an object in each"
    first = "" if report.first == "robot" else f" (the first ones from {report.first})"
    metric = f" by {'J&F' if report.metric == 'jf' else 'J'}" if report.choose == "worst" else ""
    return (
        f"{report.samples} samples with {report.objects} objects of {len(report.sequences)} "
        f"sequences, {report.rounds} rounds {limit}. The robot marks {marks}{first} on the "
        f"{report.choose} frame{metric}. Measured on {report.device}; all frames are scored."
    )


def _facts(report: InteractiveReport) -> dict[str, str]:
    return {
        "J&F after the last round": f"{report.jf_per_round[-1]:.3f}",
        "AUC": f"{report.auc:.3f}",
        "J&F at 60 s": f"{report.jf_at_60s:.3f}",
        "AUC over rounds": f"{report.interaction_auc:.3f}",
        "seconds a round": f"{np.mean(report.seconds_per_round):.2f}",
    }


def _sections(report: InteractiveReport) -> list[Section]:
    """What Markdown and the page both show."""
    rounds = [f"round {number}" for number in range(1, report.rounds + 1)]
    scores = {
        "J&F": report.jf_per_round,
        "J": report.j_per_round,
        "F": report.f_per_round,
        "seconds": report.seconds_per_round,
    }
    of_sequences = {name: values["jf_per_round"] for name, values in report.sequences.items()}
    marked = {
        f"{name} {sample['name']}": _padded(sample["frames"], report.rounds)
        for name, values in report.sequences.items()
        for sample in values["samples"]
    }
    phases = {_PHASE_TITLES[name]: values for name, values in report.time_split.items()}

    def section(title: str, head: str, lines: Mapping[str, Sequence[Any]]) -> Section:
        rows = [[name, *values] for name, values in lines.items()]
        return Section(title, table=([head, *rounds], rows))

    return [
        section("Rounds", "mean", scores),
        section("J&F of each sequence", "sequence", of_sequences),
        section("Frames marked", "sample", marked),
        section("Seconds by phase", "phase", phases),
        *skipped_section("sequence", report.skipped, title="Skipped"),
    ]


def _page(report: InteractiveReport, results: Results) -> list[Section]:
    """Tables, the curve, and strips of the best and worst samples."""
    curve = ("J&F and J; thin lines are sequences", figure_png(curve_figure(report)))
    rounds, *others = _sections(report)
    last = {key(sample): float(sample.jf[-1]) for sample in results.samples}
    strips = []
    for title, names in zip(("Best", "Worst"), extremes(last), strict=True):
        pictures = [
            (f"{name}: J&F {last[name]:.3f} after the last round", results.strips[name])
            for name in names
            if name in results.strips
        ]
        if pictures:
            strips.append(Section(f"{title} sequences", images=pictures))
    return [rounds._replace(text=_how(report), images=[curve]), *strips, *others]


def _per_round(results: Results) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["sequence", "sample", "round", "frame", "object", "j", "f", "seconds"]
    ]
    for sample in results.samples:
        frames, waited = _padded(sample.frames, len(sample.j)), sample.waited
        for index, frame in enumerate(frames):
            for column, number in enumerate(sample.objects):
                place = [sample.sequence, sample.name, index + 1, frame, number]
                scores = [sample.j[index, column], sample.f[index, column]]
                rows.append([*place, *scores, f"{waited[index]:.3f}"])
    return rows


def _padded(frames: Sequence[int], rounds: int) -> list[int | str]:
    """The frames of all rounds, "" for those that were not finished."""
    return [*frames, *[""] * (rounds - len(frames))]
