"""`ivs bench memory`: the peak of memory on a long video."""

from dataclasses import dataclass

from ivs_jax.cli.bench.figures import Figures

MEMORY = "Peak of `ivs segment` on 2,000 frames against 200."


@dataclass(frozen=True)
class Memory(Figures):
    def run(self) -> int:
        from ivs_jax.bench.memory import run_memory

        short, long = run_memory()
        lines = [(f"{p.frames} frames", f"{p.mebibytes:.0f} MiB") for p in (short, long)]
        ratio = long.mebibytes / short.mebibytes
        figures = [short._asdict(), long._asdict(), {"ratio": ratio}]
        lines.append(("ratio", f"{ratio:.2f}"))
        return self.show("peak memory of ivs segment", lines, figures)
