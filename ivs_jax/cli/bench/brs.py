"""`ivs bench brs`: the refinement of clicks against SciPy and optax."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction, arg

BRS = """Refinement of clicks: latency by phase, energy and time against SciPy and optax.

Every mode of the network is measured on the same clicks, those of a robot on --data (images/ and
masks/, or another layout of ivs eval noc), else some on the photograph of the demo.

examples:
  ivs bench brs
  ivs bench brs --mode BRS --mode f-BRS-B --data stills/coco_mval --objects 100 --out bench_brs
"""


@dataclass(frozen=True)
class Brs:
    mode: UseAppendAction[tuple[str, ...]] = ()
    """Refinement mode, BRS, RGB-BRS, DistMap-BRS, f-BRS-A, f-BRS-B or f-BRS-C; may be repeated.
    Default: all that the network has."""
    model: str = "click-small"
    """Network that answers clicks."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    data: Path | None = None
    """Click data set; default: the photograph of the demo."""
    objects: int = 20
    """How many clicks, each of another object."""
    budget: int = 20
    """Network evaluations of a solve."""
    batch_sizes: Annotated[str, arg(metavar="N,...")] = "1,4,16"
    """Comma list of batch sizes."""
    patience: float = 60.0
    """Seconds that a batch may take; larger ones are left out."""
    out: Path | None = None
    """Folder for report.json, report.md and energies.png."""

    def run(self) -> int:
        from ivs_jax.bench.brs.report import brs_markdown, write_brs
        from ivs_jax.bench.brs.run import run_brs
        from ivs_jax.cli.parse import parse_numbers
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.models import model_named
        from ivs_jax.weights.checkpoint import sha256
        from ivs_jax.weights.store import check_used, find_weights, load_weights

        # Without the compilation cache: the time of compilation is one of the figures.
        sizes = parse_numbers("--batch-sizes", self.batch_sizes)
        network = model_named(self.model, kind="click").build()
        check_used(self.weights, (self.model,))
        file = find_weights(self.model, self.weights)
        with progress_bar("stages") as advance:
            report = run_brs(
                network,
                load_weights(self.model, path=file),
                name=self.model,
                fingerprint=sha256(file)[:16],
                modes=self.mode,
                objects=self.objects,
                batch_sizes=sizes,
                budget=self.budget,
                data=self.data,
                patience=self.patience,
                progress=advance,
            )
        print(brs_markdown(report))
        if self.out is not None:
            write_brs(report, self.out)
        return 0
