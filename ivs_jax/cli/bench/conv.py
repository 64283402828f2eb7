"""`ivs bench conv`: our convolutions against those of lax."""

from dataclasses import dataclass

from ivs_jax.cli.bench.figures import Figures

CONV = "Our convolutions against plain lax convolutions, in and out of loops."


@dataclass(frozen=True)
class Conv(Figures):
    def run(self) -> int:
        from ivs_jax.bench.conv import run_conv

        rows = run_conv()
        lines = [
            (r.what, f"{r.plain_ms:8.2f} ms  {r.ours_ms:8.2f} ms  {r.ratio:6.1f} x") for r in rows
        ]
        figures = [r._asdict() | {"ratio": r.ratio} for r in rows]
        return self.show("lax, ours, times faster", lines, figures)
