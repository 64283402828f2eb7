"""`ivs eval interactive`: a simulated user corrects videos round after round."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from ivs_jax.cli.evaluate.videos import Videos

if TYPE_CHECKING:
    from ivs_jax.evaluation.davis import DavisSequence
    from ivs_jax.evaluation.interactive.record import InteractiveReport
    from ivs_jax.evaluation.interactive.user import Protocol

INTERACTIVE_EXAMPLES = """Rounds of corrections by a robot: the DAVIS interactive protocol.

Each round the robot marks what is wrong on one frame, the session segments the video anew, and J
and F of all frames are measured. ROOT has the layout of DAVIS; with --annotations it is a folder of
frames, or of one folder of frames for each sequence.

examples:
  ivs eval interactive DAVIS --out rounds --report rounds
  ivs eval interactive DAVIS --interaction ipn-small --propagation ipn-small --sequences camel,goat
  ivs eval interactive DAVIS --scribbles DAVIS/Scribbles
  ivs eval interactive DAVIS --clicks 3 --time-limit 0
  ivs eval interactive DAVIS --choose worst,suggested,random --out choices
"""


@dataclass(frozen=True)
class Interactive(Videos):
    root: Positional[Path]
    """Data set, or frames."""
    rounds: int = 8
    """Rounds for each sample."""
    time_limit: float = 30.0
    """Seconds that a round may take for each object, over all rounds; 0 = as long as it takes."""
    scribbles: Path | None = None
    """Folder of SEQUENCE/*.json in DAVIS interactive format, for round one: a sample for each file;
    default: the robot's."""
    clicks: int = 0
    """Clicks for an object in each round, in place of scribbles."""
    choose: Annotated[str, arg(metavar="CHOICE,...")] = "worst"
    """Which frame is marked from round two on: worst (by the truth), suggested (by the session) or
    random; a comma list runs them all and compares."""
    metric: Literal["jf", "j"] = "jf"
    """What makes a frame the worst: J&F or J."""
    seed: int = 0
    """Of the robot, and of random frames."""
    out: Path | None = None
    """Folder for report.json, report.md, per_round.csv, curve.png and strips of each sample; of
    several choices a folder in it for each, beside choices.json, choices.md and choices.png."""
    report: Path | None = None
    """Folder for report.html: one page with tables, curves and strips of sequences."""

    def run(self) -> int:
        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.evaluation.interactive.choices import compare_choices, write_comparison
        from ivs_jax.evaluation.interactive.report import interactive_markdown
        from ivs_jax.evaluation.interactive.user import Protocol

        if self.clicks < 0 or self.time_limit < 0:
            raise ValueError(
                "--clicks and --time-limit must be 0 or more, "
                f"found {self.clicks} and {self.time_limit:g}"
            )
        protocol = Protocol(
            rounds=self.rounds,
            seconds_per_object=self.time_limit or None,
            marks="clicks" if self.clicks else "scribbles",
            clicks=self.clicks or 1,
            metric=self.metric,
            seed=self.seed,
        )
        choices: list[Any] = [name.strip() for name in self.choose.split(",") if name.strip()]
        if not choices:
            raise ValueError(f"--choose {self.choose!r}: expected worst, suggested or random")
        protocols = {name: replace(protocol, choose=name) for name in choices}
        sequences = self.opened(self.root)
        enable_compilation_cache()
        reports = {}
        for name, each in protocols.items():
            below = name if len(protocols) > 1 else ""
            reports[name] = self._run(sequences, each, below)
            print(interactive_markdown(reports[name]))
        if len(reports) > 1:
            print(write_comparison(compare_choices(reports), self.out))
        return 0

    def _run(
        self, sequences: "list[DavisSequence]", protocol: "Protocol", below: str
    ) -> "InteractiveReport":
        """One run; its files go to the folder `below` those that were given."""
        from ivs_jax.cli.show import progress_bar
        from ivs_jax.evaluation.interactive.run import run_interactive

        with progress_bar(f"{protocol.choose} frames, rounds") as advance:
            return run_interactive(
                sequences,
                self.loader(),
                dataset=self.root.resolve().name,
                protocol=protocol,
                scribbles=self.scribbles,
                out=None if self.out is None else self.out / below,
                page=None if self.report is None else self.report / below,
                progress=lambda done, total, _: advance(done, total),
            )
