"""What most benchmarks print and write: a table, and the figures as JSON."""

from pathlib import Path
from typing import Any


def show_figures(
    out: Path | None, title: str, lines: list[tuple[str, str]], rows: list[Any]
) -> int:
    """Prints a table and writes the figures to the JSON file `out`."""
    from ivs_jax.cli.show import print_table
    from ivs_jax.evaluation.report.files import device_description, write_json

    print_table(f"{title}; {device_description()}", lines)
    if out is not None:
        write_json(out, {"device": device_description(), "rows": rows})
    return 0
