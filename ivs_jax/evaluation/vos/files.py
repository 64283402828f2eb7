"""Files of a video evaluation: JSON, Markdown, CSV, pictures, and the page."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ivs_jax.evaluation.report.files import write_bytes, write_figure, write_json, write_text
from ivs_jax.evaluation.report.html import PAGE
from ivs_jax.evaluation.vos.record import MEASURES, Measured, VosReport, as_markdown, measures
from ivs_jax.evaluation.vos.report import sequence_plot, write_vos_page
from ivs_jax.evaluation.vos.scores import SequenceScores


def write_report(
    report: VosReport, measured: Measured, *, out: str | Path | None, page: str | Path | None
) -> None:
    """Writes files into the folder `out` and report.html into the folder `page`, if given.

    Files: report.json, report.md, per_frame.csv, per_sequence.csv (a row an object, and one without
    object for their mean), global.csv, and for each sequence plots/NAME.png and strips/NAME.jpg.
    """
    if out is not None:
        out = Path(out)
        write_json(out / "report.json", asdict(report))
        write_text(out / "report.md", as_markdown(report))
        write_text(out / "per_frame.csv", _per_frame(measured.scores))
        write_text(out / "per_sequence.csv", _per_sequence(report))
        write_text(out / "global.csv", _csv([MEASURES, measures(asdict(report))]))
        for one in measured.scores:
            write_figure(out / "plots" / f"{one.name}.png", sequence_plot(one))
        for name, content in measured.strips.items():
            write_bytes(out / "strips" / f"{name}.jpg", content)
    if page is not None:
        write_vos_page(Path(page) / PAGE, report, measured)


def _per_frame(scores: Sequence[SequenceScores]) -> str:
    rows: list[list[Any]] = [["sequence", "object", "frame", "j", "f"]]
    for one in scores:
        for number, scored in one.objects.items():
            for frame, pair in enumerate(zip(scored.j, scored.f, strict=True), 1):
                rows.append([one.name, number, frame, *map(float, pair)])
    return _csv(rows)


def _per_sequence(report: VosReport) -> str:
    rows: list[list[Any]] = [["sequence", "object", *MEASURES]]
    for name, scores in report.sequences.items():
        rows += [[name, number, *measures(one)] for number, one in scores["objects"].items()]
        rows.append([name, "", *measures(scores)])
    return _csv(rows)


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    """Floats with six decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()
