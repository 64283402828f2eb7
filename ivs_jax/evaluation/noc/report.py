"""The report of a NoC run: its sections, curves, table, files, and a page with objects."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from ivs_jax.evaluation.noc.clicks import write_clicks
from ivs_jax.evaluation.noc.config import Outputs
from ivs_jax.evaluation.noc.record import LEVELS, NocReport, ObjectResult, percent
from ivs_jax.evaluation.noc.samples import Samples
from ivs_jax.evaluation.report.files import write_report
from ivs_jax.evaluation.report.html import write_page
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.pictures import extremes, figure_png, sheet_jpeg
from ivs_jax.evaluation.report.sections import Section, skipped_section, tables_only
from ivs_jax.io import overlay
from ivs_jax.types import make_clicks

_OBJECTS = 6  # at each end
_COLUMNS, _WIDTH = 3, 320  # of the sheet of objects
_LEVEL = 0.85  # by which objects are ranked


def write_noc(
    report: NocReport, results: Sequence[ObjectResult], samples: Samples, outputs: Outputs
) -> None:
    """Writes the report and the clicks into those of `outputs` that are not None."""
    if outputs.out is not None:
        write_report(
            outputs.out,
            report,
            noc_markdown(report) + "\n![mean IoU per click](curve.png)\n",
            tables={"per_object.csv": _per_object(results)},
            figures={"curve.png": _curve(report)},
        )
    if outputs.page is not None:
        title = f"NoC on {report.dataset}: {report.model} {report.refine}"
        write_page(outputs.page, title, _facts(report), _page(report, results, samples))
    if outputs.clicks is not None:
        write_clicks(outputs.clicks, results)


def noc_markdown(report: NocReport) -> str:
    """The report as Markdown."""
    refine = f", refinement {report.refine}" if report.refine else ""
    refine += "".join(f", {key} {value}" for key, value in report.options.items())
    summary = (
        f"{report.objects} objects, {report.clicks} clicks (at most {report.max_clicks} each), "
        f"{len(report.skipped)} skipped.{' Clicks from a file, no robot.' * bool(report.replay)}"
    )
    sections = [
        Section(text=summary),
        *tables_only(_sections(report)),
        *skipped_section("skipped", report.skipped, title=""),
    ]
    return to_markdown(f"NoC on {report.dataset}: {report.model}{refine}", sections)


def _sections(report: NocReport) -> list[Section]:
    """What Markdown and the page both show."""
    levels = [[f"{q} %", report.noc[q], report.failures[q], report.at_cap[q]] for q in report.noc]
    facts: list[list[Any]] = [
        ["mean IoU after 1 / 3 / last click", _iou_cell(report.mean_iou)],
        ["answers that agree with every click", f"{100 * report.satisfied:.1f} %"],
        ["network evaluations per click", report.evaluations],
        ["seconds per click, warm", report.spc["warm"]],
        ["seconds of compilation, in all", report.spc["compile"]],
        ["objects at once", report.batch or 1],
        ["device", report.device],
    ]
    return [
        Section(
            "Clicks",
            f"Mean number of clicks until the mask is that good, {report.max_clicks} where it "
            "never was.",
            (["IoU", "NoC", "never reached", "at the cap"], levels),
        ),
        Section("Run", table=(["", "value"], facts)),
    ]


def _facts(report: NocReport) -> dict[str, str]:
    facts = {f"NoC@{level}": f"{value:.2f}" for level, value in report.noc.items()}
    facts |= {"objects": str(report.objects), "model": report.model, "refinement": report.refine}
    return facts | {"seconds a click": f"{report.spc['warm']:.3f}", "device": report.device}


def _page(report: NocReport, results: Sequence[ObjectResult], samples: Samples) -> list[Section]:
    """Tables, curves, and the easiest and hardest objects."""
    measured = {result.name: result for result in results if not result.skipped}
    clicks, run = _sections(report)
    curves = [
        ("Mean IoU after each click", figure_png(_curve(report))),
        (
            "Objects that are good enough after each click",
            figure_png(_shares([*measured.values()], report)),
        ),
    ]
    ease = {  # fewer clicks to the level, one more than the cap if never; then the higher IoU
        name: result.ious[-1] / 2 - (result.reached(_LEVEL) or report.max_clicks + 1)
        for name, result in measured.items()
    }
    objects = [
        _objects(f"{title} objects", [measured[name] for name in names], samples)
        for title, names in zip(("Easiest", "Hardest"), extremes(ease, _OBJECTS), strict=True)
        if names
    ]
    skipped = skipped_section("object", report.skipped)
    return [clicks._replace(images=curves), run, *objects, *skipped]


def _objects(title: str, results: Sequence[ObjectResult], samples: Samples) -> Section:
    """The objects' true masks with all clicks that were made, and a table of them."""
    rows, pictures = [], []
    for result in results:
        _, image, mask, _ = samples[samples.names.index(result.name)]
        points, labels = [click[:2] for click in result.clicks], [c[2] for c in result.clicks]
        clicks = make_clicks(points, labels, capacity=len(points))
        pictures.append(overlay(image, mask, alpha=0.35, clicks=clicks))
        reached = result.reached(_LEVEL) or "never"
        rows.append([result.name, reached, len(points), result.ious[-1]])
    names = [result.name for result in results]
    return Section(
        title,
        "The true mask, and every click that was made: green on the object, red on the background.",
        (["object", f"clicks to IoU {_LEVEL}", "clicks", "last IoU"], rows),
        [(title, sheet_jpeg(pictures, names, columns=_COLUMNS, width=_WIDTH))],
    )


def _per_object(results: Sequence[ObjectResult]) -> list[list[Any]]:
    levels = [f"noc{percent(q)}" for q in LEVELS]
    rows: list[list[Any]] = [
        ["name", "skipped", *levels, "seconds", "evaluations", "ious", "clicks"]
    ]
    for result in results:
        ious = " ".join(f"{value:.4f}" for value in result.ious)
        clicks = " ".join(f"{x},{y},{label}" for x, y, label in result.clicks)
        noc = [result.reached(q) or "" for q in LEVELS]
        cost = [f"{result.seconds:.3f}", sum(result.evaluations)]
        rows.append([result.name, result.skipped or "", *noc, *cost, ious, clicks])
    return rows


def _curve(report: NocReport) -> Figure:
    """Mean IoU after each click."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(report.mean_iou) + 1), report.mean_iou, marker="o", markersize=3)
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1), title=f"{report.dataset}")
    axes.set_xticks(range(1, len(report.mean_iou) + 1))
    axes.grid(alpha=0.3)
    axes.text(0.98, 0.04, f"{report.model} {report.refine}", ha="right", transform=axes.transAxes)
    return figure


def _shares(results: Sequence[ObjectResult], report: NocReport) -> Figure:
    """Share of the objects that reached each level with so many clicks or fewer."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    clicks = range(1, report.max_clicks + 1)
    for level in (level for level in LEVELS if level <= report.target):
        reached = [result.reached(level) for result in results]
        share = [sum(n is not None and n <= k for n in reached) / len(results) for k in clicks]
        axes.step(clicks, share, where="post", label=f"IoU {level:.2f}")
    axes.set(xlabel="clicks", ylabel="share of objects", ylim=(0, 1.02), xticks=clicks)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def _iou_cell(curve: Sequence[float]) -> str:
    return " / ".join(f"{curve[min(i, len(curve)) - 1]:.3f}" for i in (1, 3, len(curve)))
