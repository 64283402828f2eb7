"""`ivs bench`: how fast, against a named reference in the same run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Bench:
    what: Positional[Literal["conv", "memory"]]
    """conv: our convolutions against plain lax convolutions, in and out of loops.
    memory: peak of `ivs segment` on 2,000 frames against 200."""
    out: Path | None = None
    """JSON file for the figures."""

    def run(self) -> int:
        from ivs_jax.cli.show import print_table
        from ivs_jax.evaluation.report import device_description, write_json

        title, lines, figures = _conv() if self.what == "conv" else _memory()
        print_table(f"{title}; {device_description()}", lines)
        if self.out is not None:
            write_json(self.out, {"device": device_description(), "rows": figures})
        return 0


Result = tuple[str, list[tuple[str, str]], list[dict[str, Any]]]


def _conv() -> Result:
    from ivs_jax.bench.conv import run_conv

    rows = run_conv()
    lines = [(r.what, f"{r.plain_ms:8.2f} ms  {r.ours_ms:8.2f} ms  {r.ratio:6.1f} x") for r in rows]
    return "lax, ours, times faster", lines, [r._asdict() | {"ratio": r.ratio} for r in rows]


def _memory() -> Result:
    from ivs_jax.bench.memory import run_memory

    short, long = run_memory()
    lines = [(f"{p.frames} frames", f"{p.mebibytes:.0f} MiB") for p in (short, long)]
    ratio = long.mebibytes / short.mebibytes
    figures = [short._asdict(), long._asdict(), {"ratio": ratio}]
    return "peak memory of ivs segment", [*lines, ("ratio", f"{ratio:.2f}")], figures
