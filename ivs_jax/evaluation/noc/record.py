"""Record, summary and files of a NoC run."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.region import Mean
from ivs_jax.evaluation.report.files import markdown_table, write_figure, write_json, write_text

LEVELS = (0.80, 0.85, 0.90)


@dataclass
class Trial:
    """One object: a list entry per click, or the reason why it was skipped.

    Attributes:
      clicks: `(x, y, label)` per click.
      ious: IoU after each click.
      satisfied: after each click, does the mask agree with every click so far?
      evaluations: network evaluations of the refinement, per click.
      seconds: wall time with loading and robot; `compile_seconds` of it compiled programs.
    """

    name: str
    clicks: list[tuple[int, int, int]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    satisfied: list[bool] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    seconds: float = 0.0
    compile_seconds: float = 0.0
    skipped: str | None = None

    def reached(self, level: float) -> int | None:
        """Number of clicks until IoU >= level; None when it was never reached."""
        return next((i for i, value in enumerate(self.ious, 1) if value >= level), None)


@dataclass(frozen=True)
class NocReport:
    """Result of a NoC run; `asdict` of it is report.json.

    Attributes:
      objects: how many were measured; the skipped ones are not among them.
      options: settings of the refinement that differ from the published ones.
      replay: digest of the given clicks; empty where the robot clicked.
      noc: mean number of clicks to IoU >= 80/85/90 %, `max_clicks` where it was never reached.
        Levels above the target are absent (the run stopped before them).
      failures: how many objects never reached the level.
      at_cap: how many have NoC = `max_clicks`, the published ">=20@q" (reached at the last click
        or never).
      mean_iou: mean IoU after click 1, 2, ...; an object that stopped keeps its last value.
      satisfied: share of answers whose mask agrees with every click so far.
      evaluations: mean number of network evaluations of the refinement per click.
      spc: `warm`, seconds per click with loading and robot, without `compile`, the seconds that the
        interactor spent compiling in the whole run.
      batch: objects at once on the device; None where they came one after the other.
      skipped: `{"name", "reason"}` of every object that was not measured.
    """

    dataset: str
    model: str
    refine: str
    options: dict[str, Any]
    weights: str
    max_clicks: int
    target: float
    threshold: float
    replay: str
    objects: int
    clicks: int
    noc: dict[str, float]
    failures: dict[str, int]
    at_cap: dict[str, int]
    mean_iou: list[float]
    satisfied: float
    evaluations: float
    spc: dict[str, float]
    workers: int
    batch: int | None
    device: str
    skipped: list[dict[str, str]]


def summarise(
    trials: Sequence[Trial],
    config: Mapping[str, Any],
    *,
    workers: int,
    device: str,
    batch: int | None = None,
) -> NocReport:
    """Means over the measured trials. Raises ValueError when there is none."""
    skipped = [{"name": t.name, "reason": t.skipped} for t in trials if t.skipped]
    done = [trial for trial in trials if not trial.skipped]
    if not done:
        first = f"; first: {skipped[0]['name']}: {skipped[0]['reason']}" if skipped else ""
        raise ValueError(
            f"{config['dataset']}: no object could be measured, {len(skipped)} skipped{first}"
        )
    cap = int(config["max_clicks"])
    levels = [level for level in LEVELS if level <= config["target"]]
    reached = {_percent(q): [trial.reached(q) for trial in done] for q in levels}
    clicks = sum(len(trial.ious) for trial in done)
    compiled = sum(trial.compile_seconds for trial in done)
    return NocReport(
        **dict(config),
        objects=len(done),
        clicks=clicks,
        noc={q: float(np.mean([n or cap for n in found])) for q, found in reached.items()},
        failures={q: sum(n is None for n in found) for q, found in reached.items()},
        at_cap={q: sum((n or cap) == cap for n in found) for q, found in reached.items()},
        mean_iou=np.mean([_carried(trial.ious, cap) for trial in done], axis=0).tolist(),
        satisfied=_mean(value for trial in done for value in trial.satisfied),
        evaluations=_mean(value for trial in done for value in trial.evaluations),
        spc={
            "compile": compiled,
            "warm": (sum(trial.seconds for trial in done) - compiled) / clicks,
        },
        workers=workers,
        batch=batch,
        device=device,
        skipped=skipped,
    )


def write_report(report: NocReport, trials: Sequence[Trial], out: Path) -> None:
    """Writes report.json, report.md, per_object.csv and curve.png into `out`."""
    write_json(out / "report.json", asdict(report))
    write_text(out / "report.md", as_markdown(report) + "\n![mean IoU per click](curve.png)\n")
    write_text(out / "per_object.csv", _csv(trials))
    write_figure(out / "curve.png", curve(report))


def as_markdown(report: NocReport) -> str:
    """The report as a page."""
    refine = f", refinement {report.refine}" if report.refine else ""
    refine += "".join(f", {key} {value}" for key, value in report.options.items())
    page = [
        f"# NoC on {report.dataset}: {report.model}{refine}\n",
        f"{report.objects} objects, {report.clicks} clicks (at most {report.max_clicks} each), "
        f"{len(report.skipped)} skipped.{' Clicks from a file, no robot.' * bool(report.replay)}\n",
        markdown_table(["IoU", "NoC", "never reached", "at the cap"], level_rows(report)),
        markdown_table(["", "value"], fact_rows(report)),
    ]
    if report.skipped:
        rows = [[entry["name"], entry["reason"]] for entry in report.skipped]
        page.append(markdown_table(["skipped", "reason"], rows))
    return "\n".join(page)


def level_rows(report: NocReport) -> list[list[Any]]:
    """Level, NoC, never reached, at the cap: a row for each level."""
    return [[f"{q} %", report.noc[q], report.failures[q], report.at_cap[q]] for q in report.noc]


def fact_rows(report: NocReport) -> list[list[Any]]:
    """What else was measured: name and value."""
    return [
        ["mean IoU after 1 / 3 / last click", _iou_cell(report.mean_iou)],
        ["answers that agree with every click", f"{100 * report.satisfied:.1f} %"],
        ["network evaluations per click", report.evaluations],
        ["seconds per click, warm", report.spc["warm"]],
        ["seconds of compilation, in all", report.spc["compile"]],
        ["objects at once", report.batch or report.workers],
        ["device", report.device],
    ]


def _csv(trials: Sequence[Trial]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    levels = [f"noc{_percent(q)}" for q in LEVELS]
    writer.writerow(["name", "skipped", *levels, "seconds", "evaluations", "ious", "clicks"])
    for t in trials:
        ious = " ".join(f"{value:.4f}" for value in t.ious)
        clicks = " ".join(f"{x},{y},{label}" for x, y, label in t.clicks)
        noc = [t.reached(q) or "" for q in LEVELS]
        row = [t.name, t.skipped or "", *noc, f"{t.seconds:.3f}", sum(t.evaluations), ious, clicks]
        writer.writerow(row)
    return text.getvalue()


def curve(report: NocReport) -> Figure:
    """Mean IoU after each click."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(report.mean_iou) + 1), report.mean_iou, marker="o", markersize=3)
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1), title=f"{report.dataset}")
    axes.set_xticks(range(1, len(report.mean_iou) + 1))
    axes.grid(alpha=0.3)
    axes.text(0.98, 0.04, f"{report.model} {report.refine}", ha="right", transform=axes.transAxes)
    return figure


def _carried(values: Sequence[float], length: int) -> list[float]:
    return [*values, *[values[-1]] * (length - len(values))]


def _mean(values: Any) -> float:
    total = Mean()
    for value in values:
        total = total.add(value)
    return total.value


def _percent(level: float) -> str:
    return str(round(100 * level))


def _iou_cell(curve: Sequence[float]) -> str:
    return " / ".join(f"{curve[min(i, len(curve)) - 1]:.3f}" for i in (1, 3, len(curve)))
