"""`ivs bench conv`: our convolutions against those of lax."""

from dataclasses import dataclass
from pathlib import Path

from ivs_jax.cli.bench.figures import show_figures

CONV = "Our convolutions against plain lax convolutions, in and out of loops."


@dataclass(frozen=True)
class Conv:
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.bench.conv import run_conv

        rows = run_conv()
        lines = [
            (r.what, f"{r.plain_ms:8.2f} ms  {r.ours_ms:8.2f} ms  {r.ratio:6.1f} x") for r in rows
        ]
        figures = [r._asdict() | {"ratio": r.ratio} for r in rows]
        return show_figures(self.out, "lax, ours, times faster", lines, figures)
