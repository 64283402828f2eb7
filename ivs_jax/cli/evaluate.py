"""`ivs eval`: the protocols of the field, on data sets in their own layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg, subcommand

NOC_EXAMPLES = """Robot clicks until the mask is good enough: NoC@80, NoC@85, NoC@90, failures, SPC.

FOLDER has images/ and masks/, files of the same name, one object a mask.

example:
  ivs eval noc stills/coco_mval --refine f-BRS-B --out noc
"""
VOS_EXAMPLES = """Video object segmentation: prompt the first frame, propagate, measure J and F.

ROOT has the layout of DAVIS: JPEGImages/480p, Annotations/480p, ImageSets.

examples:
  ivs eval vos DAVIS --prompt mask --out vos
  ivs eval vos DAVIS --prompt clicks --clicks 3 --sequences blackswan,camel
"""


@dataclass(frozen=True)
class Noc:
    folder: Positional[Path]
    """Data set."""
    model: str = "click-small"
    """Network that answers clicks."""
    refine: str = "BRS"
    """Refinement: NoBRS, BRS, RGB-BRS, DistMap-BRS, f-BRS-A, f-BRS-B, f-BRS-C."""
    budget: int | None = None
    """Network evaluations that refinement may spend on a click; default: the published limit."""
    weights: Path | None = None
    """Folder of weights, instead of those that ship."""
    limit: int | None = None
    """Only the first so many objects."""
    clicks: int = 20
    """Clicks for an object at most."""
    out: Path | None = None
    """Folder for the report."""

    def run(self) -> int:
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.noc import open_click_dataset, run_noc
        from ivs_jax.evaluation.noc_report import as_markdown
        from ivs_jax.session.build import load_interactor

        enable_compilation_cache()
        dataset = open_click_dataset(self.folder)
        interactor = load_interactor(
            self.model, refine=self.refine, budget=self.budget, weights=self.weights
        )
        with progress_bar("objects") as advance:
            report = run_noc(
                dataset,
                interactor,
                limit=self.limit,
                max_clicks=self.clicks,
                out=self.out,
                progress=lambda done, total, _: advance(done, total),
            )
        print(as_markdown(report))
        return 0


@dataclass(frozen=True)
class Vos:
    root: Positional[Path]
    """Data set."""
    prompt: Literal["mask", "clicks"] = "mask"
    """What the first frame is given: its true masks, or robot clicks."""
    clicks: int = 3
    """Robot clicks for an object, with --prompt clicks."""
    sequences: Annotated[str, arg(metavar="NAME,...")] = ""
    """Comma list of sequences; default: those of the split."""
    split: str = "val"
    """Name of the list of sequences."""
    model: str = "click-small"
    """Network that answers clicks."""
    propagation: str = "stm-small"
    """Network that carries masks to other frames."""
    refine: str = "BRS"
    """Refinement of clicks."""
    weights: Path | None = None
    """Folder of weights, instead of those that ship."""
    out: Path | None = None
    """Folder for the report."""

    def run(self) -> int:
        from ivs_jax.api.prompts import default_loader
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.vos import run_vos
        from ivs_jax.evaluation.vos_report import as_markdown
        from ivs_jax.io import open_video
        from ivs_jax.session import Engine

        enable_compilation_cache()
        load = default_loader()

        def engine(folder: Path) -> Engine:
            return load(
                open_video(folder),
                model=self.model,
                propagation=self.propagation,
                refine=self.refine,
                weights=self.weights,
            )

        names = [name.strip() for name in self.sequences.split(",") if name.strip()]
        with progress_bar("frames") as advance:
            report = run_vos(
                self.root,
                engine,
                sequences=names or None,
                split=self.split,
                prompt=self.prompt,
                clicks=self.clicks,
                out=self.out,
                progress=lambda done, total, _: advance(done, total),
            )
        print(as_markdown(report))
        return 0


@dataclass(frozen=True)
class Evaluate:
    protocol: (
        Annotated[Noc, subcommand("noc", description=NOC_EXAMPLES)]
        | Annotated[Vos, subcommand("vos", description=VOS_EXAMPLES)]
    )

    def run(self) -> int:
        return self.protocol.run()
