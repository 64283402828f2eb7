"""`ivs eval noc`: robot clicks until the mask is good enough."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional, UseAppendAction

NOC_EXAMPLES = """Robot clicks until the mask is good enough: NoC@80, NoC@85, NoC@90, failures, SPC.

FOLDER is GrabCut, Berkeley, SBD, DAVIS-345 or COCO_MVal as published, or has images/ and masks/
with files of the same name, one object a mask. An interrupted run with --out goes on where it was.

examples:
  ivs eval noc GrabCut --refine f-BRS-B --out noc
  ivs eval noc SBD --limit 500 --save-clicks clicks.jsonl
  ivs eval noc SBD --replay clicks.jsonl --refine NoBRS
  ivs eval noc GrabCut --protocol session --budget 60
"""


@dataclass(frozen=True)
class Noc:
    folder: Positional[Path]
    """Data set."""
    layout: Literal["grabcut", "berkeley", "davis", "masks", "sbd"] | None = None
    """How the folder is laid out; default: recognised from what it holds, Berkeley by its name."""
    instances: bool = False
    """With images/ and masks/: every id of a mask is an object of its own, 255 is ignored."""
    model: str = "click-small"
    """Network that answers clicks."""
    refine: str | None = None
    """Refinement: NoBRS, BRS, RGB-BRS, DistMap-BRS, f-BRS-A, f-BRS-B, f-BRS-C; default: that of
    the network's paper, BRS for click-small."""
    budget: int | None = None
    """Network evaluations that refinement may spend on a click; default: the published limit."""
    protocol: Literal["published", "session"] = "published"
    """Refine by the letter of the papers (each click starts where the last one ended, f-BRS from
    the second one on), or as a session does (every click must hold at once, and for itself)."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    batch: int | None = None
    """So many objects at once, the robot on the device too; default: one after the other."""
    limit: int | None = None
    """Only the first so many objects."""
    clicks: int = 20
    """Clicks for an object at most."""
    save_clicks: Path | None = None
    """File for the clicks of every object, JSON lines."""
    replay: Path | None = None
    """Clicks that --save-clicks wrote, run again in place of the robot's."""
    out: Path | None = None
    """Folder for report.json, report.md, per_object.csv and curve.png."""
    report: Path | None = None
    """Folder for report.html: one page with tables, curves and pictures of objects."""

    def run(self) -> int:
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.click_dataset import open_click_dataset
        from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
        from ivs_jax.evaluation.noc.clicks import read_clicks
        from ivs_jax.evaluation.noc.report import noc_markdown
        from ivs_jax.session.build import load_interactor
        from ivs_jax.session.protocol import as_published

        enable_compilation_cache()
        dataset = open_click_dataset(self.folder, layout=self.layout, instances=self.instances)
        replay = None if self.replay is None else read_clicks(self.replay)
        if replay is not None:
            dataset = dataset.only(replay)
        published = self.protocol == "published"
        interactor = load_interactor(
            self.model,
            refine=self.refine,
            budget=self.budget,
            weights=self.weights,
            published=published,
        )
        with progress_bar("objects") as advance:
            report = run_noc(
                dataset[: self.limit],
                as_published(interactor) if published else interactor,
                NocRule(max_clicks=self.clicks, replay=replay),
                Outputs(self.out, self.report, self.save_clicks),
                batch=self.batch,
                progress=lambda done, total, _: advance(done, total),
            )
        print(noc_markdown(report))
        return 0
