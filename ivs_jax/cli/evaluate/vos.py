"""`ivs eval vos`: prompt the first frame, propagate, J and F; or the scores of masks on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from ivs_jax.cli.evaluate.videos import Videos

if TYPE_CHECKING:
    from ivs_jax.evaluation.vos.record import VosReport

VOS_EXAMPLES = """Video object segmentation: prompt the first frame, propagate, measure J and F.

ROOT has the layout of DAVIS 2016 or 2017: JPEGImages/480p, Annotations/480p, ImageSets. With
--annotations it is a folder of frames, or of one folder of frames for each sequence.
With --results nothing is computed but the scores of the masks that lie there.

examples:
  ivs eval vos DAVIS --prompt mask --out vos --report vos
  ivs eval vos DAVIS --self
  ivs eval vos DAVIS --prompt clicks --clicks 3 --sequences blackswan,camel
  ivs eval vos FRAMES --annotations MASKS
  ivs eval vos DAVIS --results RESULTS --report scores
  ivs eval vos --results RESULTS --annotations MASKS
"""


@dataclass(frozen=True)
class Vos(Videos):
    root: Positional[Path | None] = None
    """Data set, or frames; without it, --results and --annotations say all."""
    results: Path | None = None
    """Folder of result masks for each sequence, to be scored instead of made."""
    prompt: Literal["mask", "clicks"] = "mask"
    """What the first frame is given: its true masks, or robot clicks."""
    clicks: int = 3
    """Robot clicks for an object, with --prompt clicks."""
    own: Annotated[bool, arg(name="self")] = False
    """Also segment the first frame anew from its own mask, which shows whether the network finds
    its own place again."""
    out: Path | None = None
    """Folder for report.json, report.md, tables as CSV, plots and strips of each sequence."""
    report: Path | None = None
    """Folder for report.html: one page with tables, curves and strips of sequences."""

    def run(self) -> int:
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.vos.report import vos_markdown

        with progress_bar("sequences" if self.results else "frames") as advance:
            report = self._scored(advance) if self.results else self._run(advance)
        print(vos_markdown(report))
        return 0

    def _scored(self, advance: Callable[[int, int], None]) -> "VosReport":
        from ivs_jax.evaluation.vos.results import open_results, score_results

        assert self.results is not None
        sequences = open_results(
            self.results,
            root=self.root,
            annotations=self.annotations,
            sequences=self.names(),
            split=self.split,
            resolution=self.resolution,
            year=self.year,
        )
        return score_results(
            sequences,
            dataset=self._dataset(),
            results=self.results.resolve().name,
            out=self.out,
            page=self.report,
            progress=lambda done, total, _: advance(done, total),
        )

    def _run(self, advance: Callable[[int, int], None]) -> "VosReport":
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.evaluation.vos.run import run_vos

        if self.root is None:
            raise ValueError("nothing to segment: give ROOT, or --results with masks to score")
        sequences = self.opened(self.root)
        enable_compilation_cache()
        return run_vos(
            sequences,
            self.loader(),
            dataset=self._dataset(),
            prompt=self.prompt,
            clicks=self.clicks,
            own=self.own,
            out=self.out,
            page=self.report,
            progress=lambda done, total, _: advance(done, total),
        )

    def _dataset(self) -> str:
        """What the report calls the data: folder, what of it, edition."""
        if self.annotations is not None:
            return self.annotations.resolve().name
        assert self.root is not None
        year = [self.year] if self.year else []
        names = self.names() or [self.split]
        chosen = ", ".join(names) if len(names) <= 3 else f"{len(names)} sequences"
        return " ".join([self.root.resolve().name, *year, chosen, self.resolution])
