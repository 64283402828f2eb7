"""`ivs bench rounds`: a second round against the frames that it computes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from ivs_jax.cli.bench.figures import Figures

ROUNDS = """A second round on 50 frames of 480 x 854: seconds against the frames that it computes.

examples:
  ivs bench rounds --propagation stm-small
  ivs bench rounds --propagation ipn-small --spans 12,47 --out rounds.json
"""


@dataclass(frozen=True)
class Rounds(Figures):
    propagation: str = "stm-small"
    """Network that carries masks to other frames."""
    spans: Annotated[str, arg(metavar="N,...")] = "12,24,47"
    """Comma list of how many frames a round computes."""
    repeats: int = 2
    """How often each is measured; the shortest time counts."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""

    def run(self) -> int:
        from ivs_jax.bench.rounds import run_rounds, spread
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.parse import parse_numbers
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.session.build import load_propagator
        from ivs_jax.weights.store import check_used

        enable_compilation_cache()
        spans = parse_numbers("--spans", self.spans)
        if self.repeats < 1:
            raise ValueError(f"--repeats must be at least 1, got {self.repeats}")
        check_used(self.weights, (self.propagation,))
        propagator = load_propagator(self.propagation, weights=self.weights)
        with progress_bar("rounds") as advance:
            found = run_rounds(propagator, spans=spans, repeats=self.repeats, progress=advance)
        lines = [
            (
                f"{row.frames} frames",
                f"{row.seconds:.2f} s, {1000 * row.seconds / row.frames:.0f} ms each, "
                f"{row.compilations} compilations",
            )
            for row in found
        ]
        lines.append(("slowest / fastest frame", f"{spread(found):.3f}"))
        figures = [row._asdict() for row in found] + [{"ratio": spread(found)}]
        return self.show(f"second round, {self.propagation}", lines, figures)
