"""`ivs bench`: how fast, against a named reference in the same run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Bench:
    what: Positional[Literal["conv"]]
    """conv: our convolutions against plain lax convolutions, in and out of loops."""
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.conv import run_conv
        from ivs_jax.cli.show import print_table
        from ivs_jax.evaluation.report import device_description, write_json

        rows = run_conv()
        lines = [
            (r.what, f"{r.plain_ms:8.2f} ms  {r.ours_ms:8.2f} ms  {r.ratio:6.1f} x") for r in rows
        ]
        print_table(f"lax, ours, times faster; {device_description()}", lines)
        if self.out is not None:
            figures = [row._asdict() | {"ratio": row.ratio} for row in rows]
            write_json(self.out, {"device": device_description(), "rows": figures})
        return 0
