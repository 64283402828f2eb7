"""`ivs eval compare`: reports of `ivs eval noc` side by side."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

COMPARE_EXAMPLES = """NoC reports side by side: one table, and one figure with the curves of all.

example:
  ivs eval compare noc_brs/report.json noc_fbrs/report.json --out compared
"""


@dataclass(frozen=True)
class Compare:
    reports: Positional[tuple[Path, ...]]
    """The report.json of each run."""
    out: Path
    """Folder for compare.md and compare.png."""

    def run(self) -> int:
        from ivs_jax.evaluation.noc.compare import compare_reports

        print(compare_reports(self.reports, self.out))
        return 0
