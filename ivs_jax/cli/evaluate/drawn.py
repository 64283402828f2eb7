"""`ivs eval drawn`: drawn clips that every propagation network should hold, without any data."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import UseAppendAction

DRAWN_EXAMPLES = """Follow a disc through four drawn clips of 15 frames, from the true first mask.

No data set is needed: a disc, three discs that look alike, a fast disc, and small frames.

examples:
  ivs eval drawn
  ivs eval drawn --propagation ipn-small
  ivs eval drawn --weights runs/stm-small.safetensors --out drawn
"""


@dataclass(frozen=True)
class Drawn:
    propagation: str = "stm-small"
    """Network that carries masks to other frames."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    out: Path | None = None
    """Folder for report.json and report.md."""

    def run(self) -> int:
        from ivs_jax.api.loader import default_loader
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.drawn import drawn_markdown, drawn_scores
        from ivs_jax.evaluation.report.files import write_json, write_text

        enable_compilation_cache()
        load = default_loader()
        with progress_bar("frames") as advance:
            scores = drawn_scores(
                lambda clip: load(clip, propagation=self.propagation, weights=self.weights),
                progress=advance,
            )
        page = drawn_markdown(scores, self.propagation)
        if self.out is not None:
            write_json(self.out / "report.json", {"model": self.propagation, "iou": scores})
            write_text(self.out / "report.md", page)
        print(page)
        return 0
