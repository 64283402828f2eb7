"""Writing of reports: atomic files, Markdown tables, the device that a figure was measured on."""

import json
import os
from collections.abc import Sequence
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


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; floats with three decimals, the first column to the left."""
    lines = [_row(header), _row([":--"] + ["--:"] * (len(header) - 1))]
    lines += [_row([cell(value).replace("|", "\\|") for value in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(value: Any) -> str:
    """A value as tables show it: floats with three decimals, never -0.000."""
    return f"{value:z.3f}" if isinstance(value, float) else str(value)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Writes a Matplotlib figure as an image, as a whole or not at all."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` to `path` as a whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)
