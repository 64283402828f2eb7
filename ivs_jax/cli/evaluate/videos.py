"""What evaluations on videos share: flags for sequences and networks, and how they are opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import UseAppendAction, arg

if TYPE_CHECKING:
    from ivs_jax.evaluation.davis import DavisSequence
    from ivs_jax.session import Engine


@dataclass(frozen=True, kw_only=True)
class Videos:
    annotations: Path | None = None
    """Folder of masks (for each sequence) beside ROOT, the frames."""
    sequences: Annotated[str, arg(metavar="NAME,...")] = ""
    """Comma list of sequences; default: those of the split."""
    split: str = "val"
    """Name of the list of sequences."""
    year: Literal["2016", "2017"] | None = None
    """Edition whose list is read, the later one that is there if not said; 2016 also joins all
    objects of a frame into one."""
    resolution: str = "480p"
    """Folder of that name in JPEGImages and Annotations."""
    model: str = "click-small"
    """Network for all that it can and that is not named below: answers, propagation, or both."""
    interaction: str | None = None
    """Network that answers clicks and strokes; default: click-small, or --model if it does."""
    propagation: str | None = None
    """Network that carries masks to other frames; default: stm-small, or --model if it does."""
    refine: str | None = None
    """Refinement of clicks; default: that of the network's paper, BRS for click-small."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""

    def names(self) -> list[str] | None:
        """The sequences asked for; None for those of the split."""
        return [name.strip() for name in self.sequences.split(",") if name.strip()] or None

    def opened(self, root: Path) -> "list[DavisSequence]":
        """The sequences in `root`, with their annotations."""
        from ivs_jax.evaluation.davis import open_davis, open_pair

        names = self.names()
        if self.annotations is not None:
            return open_pair(root, self.annotations, sequences=names, joined=self.year == "2016")
        return open_davis(
            root, sequences=names, split=self.split, resolution=self.resolution, year=self.year
        )

    def loader(self) -> "Callable[[Path], Engine]":
        """Folder of frames -> engine with the networks asked for."""
        from ivs_jax.api.loader import default_loader
        from ivs_jax.io import open_video

        load = default_loader()
        return lambda folder: load(
            open_video(folder),
            model=self.model,
            interaction=self.interaction,
            propagation=self.propagation,
            refine=self.refine,
            weights=self.weights,
        )
