"""Which frame to correct next, and what a good choice is worth.

The protocol shows the user the worst frame, which only the truth knows. Rounds on frames that the
session suggests lie between those and rounds on frames drawn by lot.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.interactive.record import InteractiveReport
from ivs_jax.evaluation.report.files import write_figure, write_json, write_text
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.sections import Section
from ivs_jax.interaction.video_robot import worst_frame
from ivs_jax.session import State
from ivs_jax.session.suggest import suggest

Choice = Literal["worst", "suggested", "random"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


def choose_frame(
    choice: Choice,
    state: State,
    scores: np.ndarray,
    chosen: Collection[int],
    rng: np.random.Generator,
) -> int:
    """The frame of the next round.

    Args:
      choice: "worst": the lowest of `scores` that was not chosen before, by the rule of DAVIS (so
        the frame of round 1, which a person chose, may come again); "suggested": the first that
        `session.suggest` names; "random": by lot, of those without marks.
      state: the session after the last round.
      scores: `[T]`, the measure of each frame.
      chosen: frames of earlier rounds, without the first.
      rng: for the lot. Drawn from only by "random", and where nothing is suggested.

    Once every frame has marks, all fall back on the rule of DAVIS.
    """
    unmarked = sorted({*range(len(scores))} - {*state.annotated, *chosen})
    if choice == "worst" or not unmarked:
        return worst_frame(scores, chosen)
    if choice == "suggested":
        named = [frame for frame in suggest(state, 1 + len(chosen)) if frame in unmarked]
        if named:
            return named[0]
    return int(rng.choice(unmarked))


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in the choice of frames alone.

    Attributes:
      jf_per_round: choice -> mean J&F after each round.
      recovered: share of the gain of "worst" over "random" that "suggested" reaches, by the mean of
        J&F over rounds 2 and on; None where "worst" gains nothing or a run is missing.
      recovered_last: the same after the last round.
    """

    jf_per_round: dict[str, list[float]]
    recovered: float | None
    recovered_last: float | None


def compare_choices(reports: Mapping[str, InteractiveReport]) -> Comparison:
    """Compares the runs of `reports`, choice -> report, of equally many rounds."""
    curves = {choice: report.jf_per_round for choice, report in reports.items()}
    later = {choice: float(np.mean(curve[1:])) for choice, curve in curves.items() if curve[1:]}
    last = {choice: curve[-1] for choice, curve in curves.items()}
    return Comparison(curves, _recovered(later), _recovered(last))


def write_comparison(comparison: Comparison, out: Path | None) -> str:
    """The comparison as Markdown; also written into `out`, unless it is None, as choices.md,
    choices.json and choices.png."""
    text = _markdown(comparison)
    if out is not None:
        write_json(out / "choices.json", asdict(comparison))
        write_text(out / "choices.md", text)
        write_figure(out / "choices.png", _figure(comparison))
    return text


def _markdown(comparison: Comparison) -> str:
    rounds = range(1, 1 + max(map(len, comparison.jf_per_round.values())))
    rows = [[choice, *curve] for choice, curve in comparison.jf_per_round.items()]
    header = ["frames", *(f"round {number}" for number in rounds)]
    shares = {
        "over rounds 2 and on": comparison.recovered,
        "after the last round": comparison.recovered_last,
    }
    recovered = [
        f"Suggested frames recover {share:.0%} of what the worst frame gains over random ones "
        f"{when}."
        for when, share in shares.items()
        if share is not None
    ]
    sections = [Section(table=(header, rows)), *(Section(text=text) for text in recovered)]
    return to_markdown("J&F by choice of frame", sections)


def _figure(comparison: Comparison) -> Figure:
    """J&F against rounds, a line for each choice."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for choice, curve in comparison.jf_per_round.items():
        axes.plot(range(1, len(curve) + 1), curve, marker="o", label=choice)
    axes.set(xlabel="round", ylabel="J&F", title="J&F by choice of frame")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _recovered(values: Mapping[str, float]) -> float | None:
    if not all(choice in values for choice in CHOICES):
        return None
    possible = values["worst"] - values["random"]
    return (values["suggested"] - values["random"]) / possible if possible > 0 else None
