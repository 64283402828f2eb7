"""Pictures of a video evaluation, and its page."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.report.html import Section, figure_png, write_page
from ivs_jax.evaluation.report.strips import extremes
from ivs_jax.evaluation.vos.record import (
    Measured,
    VosReport,
    columns,
    described,
    held_columns,
    held_row,
    sequence_rows,
    total_row,
)
from ivs_jax.evaluation.vos.scores import SequenceScores
from ivs_jax.io import davis_palette

_BINS = 20  # of the time of a sequence, whatever its length


def write_vos_page(path: Path, report: VosReport, measured: Measured) -> None:
    """Writes one HTML page: totals, tables, curves, and strips of the best and worst sequences."""
    facts = {
        "J&F": f"{report.jf:.3f}",
        "J": f"{report.j['mean']:.3f}",
        "F": f"{report.f['mean']:.3f}",
        "frames a second": "" if report.fps is None else f"{report.fps:.1f}",
        "model": report.model,
        "device": report.device if report.fps is not None else "",
    }
    best, worst = extremes({name: scores["jf"] for name, scores in report.sequences.items()})
    heads = ["sequence", *columns(report)]
    sections = [
        Section(
            "Sequences",
            described(report),
            (heads, [*sequence_rows(report), total_row(report)]),
            [("Mean of J and F of each sequence", figure_png(_bars(report)))],
        ),
        Section(
            "From the first frame on",
            "A network that holds what it was given has the prompt's J in the frames after it.",
            (held_columns(report), [held_row(report)]),
        ),
        Section(
            "Over time",
            "J and F between the first and the last scored frame of a sequence, whatever its "
            "length; every object weighs the same. What falls to the right is drift.",
            images=[("Mean over all objects", figure_png(_over_time(measured)))],
        ),
        _sequences("Best sequences", best, report, measured),
        _sequences("Worst sequences", worst, report, measured),
        Section("Objects", "Every object of every sequence.", (heads[:8], _object_rows(report))),
    ]
    if report.skipped:
        rows = [[entry["name"], entry["reason"]] for entry in report.skipped]
        sections.append(Section("Not measured", table=(["sequence", "reason"], rows)))
    title = f"{report.dataset}: {report.model}"
    given = {name: value for name, value in facts.items() if value}
    write_page(path, title, given, [part for part in sections if part.text or part.table])


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


def _sequences(title: str, names: list[str], report: VosReport, measured: Measured) -> Section:
    """Strip and plot of each sequence; an empty section for no names."""
    by_name = {one.name: one for one in measured.scores}
    images = []
    for name in names:
        if name in measured.strips:
            caption = f"{name}: J&F {report.sequences[name]['jf']:.3f}"
            images.append((caption, measured.strips[name]))
        images.append((f"{name} over time", figure_png(sequence_plot(by_name[name]))))
    text = "Above what was found, below the truth." if names else ""
    return Section(title, text, images=images)


def _object_rows(report: VosReport) -> list[list[object]]:
    return [
        [f"{name} {number}", one["jf"], *one["j"].values(), *one["f"].values()]
        for name, scores in report.sequences.items()
        for number, one in scores["objects"].items()
    ]


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
