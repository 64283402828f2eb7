"""Files, curve and page of an interactive evaluation."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.interactive.curve import time_curve
from ivs_jax.evaluation.interactive.record import InteractiveReport, Played, Sample, key
from ivs_jax.evaluation.report.files import markdown_table, write_figure, write_json, write_text
from ivs_jax.evaluation.report.html import PAGE, Picture, Section, figure_png, write_page
from ivs_jax.evaluation.report.strips import extremes
from ivs_jax.io import atomic

_PHASE_TITLES = {
    "marks": "marks",
    "propagation": "propagation",
    "compile": "of these, compilation",
    "robot": "not counted: robot",
    "scoring": "not counted: scoring",
}


def write_report(
    report: InteractiveReport,
    played: Played,
    *,
    out: str | Path | None = None,
    page: str | Path | None = None,
) -> None:
    """Writes files into `out` and the page into `page`, each unless it is None.

    `out`: report.json, report.md, per_round.csv, curve.png and strips/<sample>.jpg. `page`: one
    self-contained report.html.
    """
    if out is not None:
        out = Path(out)
        write_json(out / "report.json", asdict(report))
        write_text(out / "report.md", as_markdown(report))
        write_text(out / "per_round.csv", _csv(played.samples))
        write_figure(out / "curve.png", curve_figure(report))
        for name, content in played.strips.items():
            with atomic(out / "strips" / f"{name}.jpg") as temporary:
                temporary.write_bytes(content)
    if page is not None:
        sections = _sections(report, played)
        write_page(Path(page) / PAGE, f"{_title(report)}", _facts(report), sections)


def as_markdown(report: InteractiveReport) -> str:
    """The report as a page."""
    parts = [f"# {_title(report)}\n", f"{_how(report)}\n"]
    parts += [markdown_table(["measure", "value"], [*_facts(report).items()])]
    for title, table in _tables(report).items():
        parts += [f"## {title}\n", markdown_table(*table)]
    return "\n".join(parts)


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


def _tables(report: InteractiveReport) -> dict[str, tuple[list[str], list[list[Any]]]]:
    rounds = [f"round {number}" for number in range(1, report.rounds + 1)]
    scores = {
        "J&F": report.jf_per_round,
        "J": report.j_per_round,
        "F": report.f_per_round,
        "seconds": report.seconds_per_round,
    }
    tables = {
        "Rounds": (["mean", *rounds], [[name, *values] for name, values in scores.items()]),
        "J&F of each sequence": (
            ["sequence", *rounds],
            [[name, *values["jf_per_round"]] for name, values in report.sequences.items()],
        ),
        "Frames marked": (
            ["sample", *rounds],
            [
                [f"{name} {sample['name']}", *_padded(sample["frames"], report.rounds)]
                for name, values in report.sequences.items()
                for sample in values["samples"]
            ],
        ),
        "Seconds by phase": (
            ["phase", *rounds],
            [[_PHASE_TITLES[name], *values] for name, values in report.time_split.items()],
        ),
    }
    if report.skipped:
        skips = [[entry["name"], entry["reason"]] for entry in report.skipped]
        tables["Skipped"] = (["sequence", "reason"], skips)
    return tables


def _sections(report: InteractiveReport, played: Played) -> list[Section]:
    curve: Picture = ("J&F and J; thin lines are sequences", figure_png(curve_figure(report)))
    tables = _tables(report)
    sections = [Section("Rounds", _how(report), tables.pop("Rounds"), [curve])]
    last = {key(sample): float(sample.jf[-1]) for sample in played.samples}
    for title, names in zip(("Best", "Worst"), extremes(last), strict=True):
        pictures = [
            (f"{name}: J&F {last[name]:.3f} after the last round", played.strips[name])
            for name in names
            if name in played.strips
        ]
        if pictures:
            sections.append(Section(f"{title} sequences", images=pictures))
    return [*sections, *(Section(title, table=table) for title, table in tables.items())]


def _csv(samples: Sequence[Sample]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence", "sample", "round", "frame", "object", "j", "f", "seconds"])
    for sample in samples:
        frames, waited = _padded(sample.frames, len(sample.j)), sample.waited
        for index, frame in enumerate(frames):
            for column, number in enumerate(sample.objects):
                j, f = sample.j[index, column], sample.f[index, column]
                place = [sample.sequence, sample.name, index + 1, frame, number]
                writer.writerow([*place, f"{j:.6f}", f"{f:.6f}", f"{waited[index]:.3f}"])
    return text.getvalue()


def _padded(frames: Sequence[int], rounds: int) -> list[int | str]:
    """The frames of all rounds, "" for those that were not finished."""
    return [*frames, *[""] * (rounds - len(frames))]
