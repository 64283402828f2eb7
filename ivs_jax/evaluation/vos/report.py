"""The report of a video evaluation: its sections, pictures, tables and files."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.report.files import write_report
from ivs_jax.evaluation.report.html import write_page
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.pictures import extremes, figure_png
from ivs_jax.evaluation.report.sections import Section, skipped_section, tables_only
from ivs_jax.evaluation.vos.record import Measured, VosReport
from ivs_jax.evaluation.vos.scores import SequenceScores
from ivs_jax.io import davis_palette

# The order and the names of the official tables.
MEASURES = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
_BINS = 20  # of the time of a sequence, whatever its length


def write_vos(
    report: VosReport, measured: Measured, *, out: str | Path | None, page: str | Path | None
) -> None:
    """Writes files into the folder `out` and report.html into the folder `page`, if given.

    Files: report.json, report.md, per_frame.csv, per_sequence.csv (a row an object, and one without
    object for their mean), global.csv, and for each sequence plots/NAME.png and strips/NAME.jpg.
    """
    if out is not None:
        write_report(
            Path(out),
            report,
            vos_markdown(report),
            tables={
                "per_frame.csv": _per_frame(measured),
                "per_sequence.csv": _per_sequence(report),
                "global.csv": [MEASURES, _measures(asdict(report))],
            },
            figures={f"plots/{one.name}.png": sequence_plot(one) for one in measured.scores},
            pictures={f"strips/{name}.jpg": strip for name, strip in measured.strips.items()},
        )
    if page is not None:
        write_page(page, _title(report), _facts(report), _page(report, measured))


def vos_markdown(report: VosReport) -> str:
    """The report as Markdown."""
    summary = Section(text=_described(report))
    tables = tables_only(_sections(report))
    return to_markdown(
        _title(report), [summary, *tables, *skipped_section("skipped", report.skipped, title="")]
    )


def _title(report: VosReport) -> str:
    return f"{report.dataset}: {report.model}"


def _sections(report: VosReport) -> list[Section]:
    """What Markdown and the page both show."""
    rows = [[name, *_row(report, scores)] for name, scores in report.sequences.items()]
    total = ["all objects", *_row(report, asdict(report))]
    held = _held(report)
    return [
        Section("Sequences", _described(report), (_columns(report), [*rows, total])),
        Section(
            "From the first frame on",
            "A network that holds what it was given has the prompt's J in the frames after it.",
            (["J of the first frames", *held], [["all objects", *held.values()]]),
        ),
    ]


def _page(report: VosReport, measured: Measured) -> list[Section]:
    """Tables, curves, and strips of the best and worst sequences."""
    sequences, held = _sections(report)
    bars = ("Mean of J and F of each sequence", figure_png(_bars(report)))
    best, worst = extremes({name: scores["jf"] for name, scores in report.sequences.items()})
    objects = [
        [f"{name} {number}", *_measures(one)]
        for name, scores in report.sequences.items()
        for number, one in scores["objects"].items()
    ]
    return [
        sequences._replace(images=[bars]),
        held,
        Section(
            "Over time",
            "J and F between the first and the last scored frame of a sequence, whatever its "
            "length; every object weighs the same. What falls to the right is drift.",
            images=[("Mean over all objects", figure_png(_over_time(measured)))],
        ),
        *_extreme_sequences("Best sequences", best, report, measured),
        *_extreme_sequences("Worst sequences", worst, report, measured),
        Section("Objects", "Every object of every sequence.", (_columns(report)[:8], objects)),
        *skipped_section("sequence", report.skipped),
    ]


def _extreme_sequences(
    title: str, names: list[str], report: VosReport, measured: Measured
) -> list[Section]:
    """One section with strip and plot of each sequence; none for no names."""
    by_name = {one.name: one for one in measured.scores}
    images = []
    for name in names:
        if name in measured.strips:
            caption = f"{name}: J&F {report.sequences[name]['jf']:.3f}"
            images.append((caption, measured.strips[name]))
        images.append((f"{name} over time", figure_png(sequence_plot(by_name[name]))))
    text = "Above what was found, below the truth."
    return [Section(title, text, images=images)] if names else []


def _described(report: VosReport) -> str:
    """What was measured and how, in two sentences."""
    how = {
        "mask": "from the true mask on frame 0",
        "clicks": f"from {report.clicks} robot clicks on frame 0",
        "results": "masks read from disk",
    }[report.prompt]
    if report.first_frame_j is not None:
        how += f" (J of frame 0: {report.first_frame_j:.3f}), on {report.device}"
    return (
        f"{report.objects} objects of {len(report.sequences)} sequences, {how}. "
        "The first and the last frame are not scored."
    )


def _facts(report: VosReport) -> dict[str, str]:
    facts = {
        "J&F": f"{report.jf:.3f}",
        "J": f"{report.j['mean']:.3f}",
        "F": f"{report.f['mean']:.3f}",
        "frames a second": "" if report.fps is None else f"{report.fps:.1f}",
        "model": report.model,
        "device": report.device if report.fps is not None else "",
    }
    return {name: value for name, value in facts.items() if value}


def _held(report: VosReport) -> dict[str, float]:
    """J of what frame 0 was given, of frame 0 segmented again, and of the frames that follow."""
    found = {
        "frame 0 as prompted": report.first_frame_j,
        "frame 0 from its own mask": report.own_j,
        **{f"frames 1 to {count}": value for count, value in report.first_j.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _columns(report: VosReport) -> list[str]:
    speed = [] if report.fps is None else ["frames/s"]
    return ["sequence", *(name.replace("-", " ") for name in MEASURES), *speed]


def _row(report: VosReport, scores: Mapping[str, Any]) -> list[Any]:
    return [*_measures(scores), *([] if report.fps is None else [scores["fps"]])]


def _measures(scores: Mapping[str, Any]) -> list[float]:
    """The values of MEASURES from a mapping with `jf`, `j` and `f`."""
    return [scores["jf"], *scores["j"].values(), *scores["f"].values()]


def _per_frame(measured: Measured) -> list[list[Any]]:
    rows: list[list[Any]] = [["sequence", "object", "frame", "j", "f"]]
    for one in measured.scores:
        for number, scored in one.objects.items():
            for frame, pair in enumerate(zip(scored.j, scored.f, strict=True), 1):
                rows.append([one.name, number, frame, *map(float, pair)])
    return rows


def _per_sequence(report: VosReport) -> list[list[Any]]:
    rows: list[list[Any]] = [["sequence", "object", *MEASURES]]
    for name, scores in report.sequences.items():
        rows += [[name, number, *_measures(one)] for number, one in scores["objects"].items()]
        rows.append([name, "", *_measures(scores)])
    return rows


def sequence_plot(sequence: SequenceScores) -> Figure:
    """J (line) and F (dotted) of each object over the scored frames, in the object's colour."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    for number, scored in sequence.objects.items():
        colour = davis_palette()[number] / 255
        frames = range(1, len(scored.j) + 1)
        label = f"object {number}: J {scored.j.mean():.3f}, F {scored.f.mean():.3f}"
        axes.plot(frames, scored.j, color=colour, label=label)
        axes.plot(frames, scored.f, color=colour, linestyle=":")
    axes.set(xlabel="frame", ylabel="J, F (dotted)", ylim=(0, 1.02), title=sequence.name)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _bars(report: VosReport) -> Figure:
    ranked = sorted(report.sequences, key=lambda name: report.sequences[name]["jf"])
    figure = Figure(figsize=(6, 1.1 + 0.22 * len(ranked)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(ranked, [report.sequences[name]["jf"] for name in ranked], color="#4477aa")
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # over the dashed line
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8, bbox=paper)
    axes.axvline(report.jf, color="#aa3377", linestyle="--", label=f"the set: {report.jf:.3f}")
    axes.set(xlim=(0, 1.08), xlabel="J&F")
    axes.tick_params(axis="y", labelsize=8)
    figure.legend(loc="outside upper right", fontsize=8, frameon=False)
    return figure


def _over_time(measured: Measured) -> Figure:
    """Each object's curve, stretched to the same length, and their mean."""
    where = np.linspace(0, 1, _BINS)
    objects = [scored for one in measured.scores for scored in one.objects.values()]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    for name, colour in (("j", "#4477aa"), ("f", "#ee6677")):
        curves = [getattr(scored, name) for scored in objects]
        stretched = [np.interp(where, np.linspace(0, 1, len(c)), c) for c in curves]
        axes.plot(100 * where, np.mean(stretched, axis=0), color=colour, label=name.upper())
    axes.set(xlabel="time, % of the sequence", ylabel="mean", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
