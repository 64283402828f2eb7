"""What most benchmarks print and write: a table, and the figures as JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figures:
    out: Path | None = None
    """JSON file for the figures."""

    def show(self, title: str, lines: list[tuple[str, str]], rows: list[Any]) -> int:
        """Prints a table and writes the figures to the JSON file."""
        from ivs_jax.cli.show import print_table
        from ivs_jax.evaluation.report.files import device_description, write_json

        print_table(f"{title}; {device_description()}", lines)
        if self.out is not None:
            write_json(self.out, {"device": device_description(), "rows": rows})
        return 0
