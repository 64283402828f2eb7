"""Files of a report, each written as a whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
from matplotlib.figure import Figure

from ivs_jax.io.atomic import atomic


def device_description() -> str:
    """What the numbers were measured on, e.g. `cpu (cpu, 1 device, 2 cores)`."""
    devices = jax.devices()
    count = f"{len(devices)} device" + ("s" if len(devices) > 1 else "")
    return f"{devices[0].platform} ({devices[0].device_kind}, {count}, {os.cpu_count()} cores)"


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` to `path` as a whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes strict JSON, indented; NaN and infinity raise ValueError instead of being written."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_figure(path: str | Path, figure: Figure) -> None:
    """Writes a Matplotlib figure as an image, as a whole or not at all."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def write_report(
    out: Path,
    report: Any,
    markdown: str,
    *,
    tables: Mapping[str, Iterable[Sequence[Any]]] | None = None,
    figures: Mapping[str, Figure] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> None:
    """Writes the files of a report into `out`: report.json and report.md, and others by name.

    Args:
      report: a dataclass; its fields are report.json.
      markdown: content of report.md.
      tables: rows of CSV files; floats get six decimals.
      figures: drawn into image files.
      pictures: contents of image files.
    """
    write_json(out / "report.json", asdict(report))
    write_text(out / "report.md", markdown)
    for name, rows in (tables or {}).items():
        write_text(out / name, _csv(rows))
    for name, figure in (figures or {}).items():
        write_figure(out / name, figure)
    for name, content in (pictures or {}).items():
        with atomic(out / name) as temporary:
            temporary.write_bytes(content)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()
