"""NoC reports side by side: a table, and a figure with all curves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ivs_jax.evaluation.report.files import write_figure, write_text
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.sections import Section, Table

FIELDS = ("dataset", "model", "refine", "objects", "noc", "failures", "mean_iou", "spc")
SHARED = ("dataset", "objects", "max_clicks", "replay")  # curves compare where these agree


def compare_reports(files: Sequence[Path], out: Path) -> str:
    """Writes compare.md and compare.png into `out`; returns the page.

    `files` are the report.json of NoC runs. Raises ValueError for one that is not.
    """
    if not files:
        raise ValueError("nothing to compare, expected one report.json or more")
    reports = [_read(file) for file in files]
    names = _names(files, reports)
    sections = [Section(table=_table(names, reports))]
    differing = [key for key in SHARED if len({str(r.get(key)) for r in reports}) > 1]
    if differing:
        text = f"The runs differ in {', '.join(differing)}: compare with care."
        sections.append(Section(text=text))
    page = to_markdown("NoC compared", sections)
    write_text(out / "compare.md", page + "\n![mean IoU per click](compare.png)\n")
    write_figure(out / "compare.png", _curves(names, reports))
    return page


def _read(file: Path) -> dict[str, Any]:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not JSON ({error})") from error
    missing = [key for key in FIELDS if key not in report] if isinstance(report, dict) else FIELDS
    if missing:
        raise ValueError(f"{file}: expected the report of a NoC run, found no {missing[0]!r}")
    return dict(report)


def _names(files: Sequence[Path], reports: Sequence[dict[str, Any]]) -> list[str]:
    """Network, refinement and its options; with the folder where two would be alike."""
    names = []
    for report in reports:
        options = [f"{key}={value}" for key, value in report.get("options", {}).items()]
        options += [f"batch={report['batch']}"] if report.get("batch") else []
        names.append(" ".join([report["model"], report["refine"], *options]))
    pairs = zip(names, (file.resolve().parent.name for file in files), strict=True)
    return [f"{name} ({folder})" if names.count(name) > 1 else name for name, folder in pairs]


def _table(names: Sequence[str], reports: Sequence[dict[str, Any]]) -> Table:
    levels = sorted({level for report in reports for level in report["noc"]})
    header = ["run", "data", "objects", *(f"NoC@{q}" for q in levels)]
    header += [f"never {q} %" for q in levels] + ["evaluations per click", "s per click"]
    rows = []
    for name, report in zip(names, reports, strict=True):
        counts = [report[key].get(q, "-") for key in ("noc", "failures") for q in levels]
        cost = [report.get("evaluations", "-"), report["spc"]["warm"]]
        rows.append([name, report["dataset"], report["objects"], *counts, *cost])
    return header, rows


def _curves(names: Sequence[str], reports: Sequence[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, report in zip(names, reports, strict=True):
        curve = report["mean_iou"]
        axes.plot(range(1, len(curve) + 1), curve, marker="o", markersize=3, label=name)
    clicks = max(len(report["mean_iou"]) for report in reports)
    axes.set(xlabel="clicks", ylabel="mean IoU", xticks=range(1, clicks + 1))
    axes.set_title(", ".join(dict.fromkeys(report["dataset"] for report in reports)))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
