"""The page of a NoC run: levels, curves, and the easiest and hardest objects with their clicks."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc.record import LEVELS, NocReport, Trial, curve, fact_rows, level_rows
from ivs_jax.evaluation.report.html import Picture, Section, figure_png, write_page
from ivs_jax.io import contact_sheet, overlay
from ivs_jax.types import make_clicks

_OBJECTS = 6  # at each end
_COLUMNS, _WIDTH = 3, 320  # of the sheet of objects
_LEVEL = 0.85  # by which objects are ranked


def write_noc_page(
    path: Path,
    report: NocReport,
    trials: Sequence[Trial],
    sample: Callable[[str], ClickSample],
) -> None:
    """Writes one HTML page; `sample` gives an object by its name, for the pictures."""
    measured = [trial for trial in trials if not trial.skipped]
    facts = {f"NoC@{level}": f"{value:.2f}" for level, value in report.noc.items()}
    facts |= {"objects": str(report.objects), "model": report.model, "refinement": report.refine}
    facts |= {"seconds a click": f"{report.spc['warm']:.3f}", "device": report.device}
    ranked = sorted(measured, key=lambda trial: _cost(trial, report.max_clicks))
    last = min(_OBJECTS, len(ranked) // 2)
    parts = {"Easiest objects": ranked[:_OBJECTS][: len(ranked) - last]}
    parts["Hardest objects"] = ranked[len(ranked) - last :][::-1]
    sections = [
        Section(
            "Clicks",
            f"Mean number of clicks until the mask is that good, {report.max_clicks} where it "
            "never was.",
            (["IoU", "NoC", "never reached", "at the cap"], level_rows(report)),
            [
                ("Mean IoU after each click", figure_png(curve(report))),
                (
                    "Objects that are good enough after each click",
                    figure_png(_shares(measured, report)),
                ),
            ],
        ),
        Section("Run", table=(["", "value"], fact_rows(report))),
        *(_objects(title, chosen, sample) for title, chosen in parts.items() if chosen),
    ]
    if report.skipped:
        rows = [[entry["name"], entry["reason"]] for entry in report.skipped]
        sections.append(Section("Not measured", table=(["object", "reason"], rows)))
    write_page(path, f"NoC on {report.dataset}: {report.model} {report.refine}", facts, sections)


def _cost(trial: Trial, cap: int) -> tuple[int, float]:
    """Clicks to the level (one more than the cap if never), then the IoU that was missed."""
    return trial.reached(_LEVEL) or cap + 1, -trial.ious[-1]


def _objects(title: str, trials: Sequence[Trial], sample: Callable[[str], ClickSample]) -> Section:
    """The objects' true masks with all clicks that were made, and a table of them."""
    rows = [
        [trial.name, trial.reached(_LEVEL) or "never", len(trial.clicks), trial.ious[-1]]
        for trial in trials
    ]
    return Section(
        title,
        "The true mask, and every click that was made: green on the object, red on the background.",
        (["object", f"clicks to IoU {_LEVEL}", "clicks", "last IoU"], rows),
        [_sheet(title, trials, sample)],
    )


def _sheet(title: str, trials: Sequence[Trial], sample: Callable[[str], ClickSample]) -> Picture:
    pictures = []
    for trial in trials:
        _, image, mask, _ = sample(trial.name)
        points, labels = [click[:2] for click in trial.clicks], [c[2] for c in trial.clicks]
        clicks = make_clicks(points, labels, capacity=len(points))
        pictures.append(overlay(image, mask, alpha=0.35, clicks=clicks))
    content = io.BytesIO()
    sheet = contact_sheet(
        pictures, [trial.name for trial in trials], columns=_COLUMNS, width=_WIDTH
    )
    sheet.save(content, "JPEG", quality=85)
    return title, content.getvalue()


def _shares(trials: Sequence[Trial], report: NocReport) -> Figure:
    """Share of the objects that reached each level with so many clicks or fewer."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    clicks = range(1, report.max_clicks + 1)
    for level in (level for level in LEVELS if level <= report.target):
        reached = [trial.reached(level) for trial in trials]
        share = [sum(n is not None and n <= k for n in reached) / len(trials) for k in clicks]
        axes.step(clicks, share, where="post", label=f"IoU {level:.2f}")
    axes.set(xlabel="clicks", ylabel="share of objects", ylim=(0, 1.02), xticks=clicks)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
