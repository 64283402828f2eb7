"""What an interactive evaluation measured, and its summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ivs_jax.evaluation.interactive.scores import auc, round_curve, time_curve, value_at

SESSION = ("marks", "propagation")  # phases that the user waits for: these make a round's seconds
PHASES = (*SESSION, "compile", "robot", "scoring")
AT = 60.0  # seconds at which DAVIS reads the curve


@dataclass(frozen=True)
class Sample:
    """One session of the simulated user on one sequence.

    Attributes:
      sequence: its name.
      name: of the sample: "robot", or the file of the first scribbles.
      objects: ids, ascending.
      frames: the frame marked in each finished round, from round 1 on; the rounds after them were
        not finished in time and keep the scores of the last one at no cost.
      j, f: `[R, K]` float64, mean over all frames, for every round and object.
      seconds: phase (see `PHASES`) -> `[R]` float64. "compile" is part of "marks" and
        "propagation".
    """

    sequence: str
    name: str
    objects: tuple[int, ...]
    frames: tuple[int, ...]
    j: np.ndarray
    f: np.ndarray
    seconds: Mapping[str, np.ndarray]

    @property
    def jf(self) -> np.ndarray:
        """`[R]`, mean of J and F over the objects."""
        return (self.j.mean(1) + self.f.mean(1)) / 2

    @property
    def waited(self) -> np.ndarray:
        """`[R]`, seconds of each round."""
        return np.sum([self.seconds[phase] for phase in SESSION], axis=0)


@dataclass
class Results:
    """The samples of a run, and a strip of pictures (JPEG) of each, by `key`, where asked for."""

    samples: list[Sample] = field(default_factory=list)
    strips: dict[str, bytes] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class InteractiveReport:
    """Result of an interactive evaluation; `asdict` of it is report.json.

    Means over rounds are over all objects of all samples, each with the same weight, and over all
    frames; seconds are means over samples.

    Attributes:
      marks: "scribbles" or "clicks"; `clicks` of them an object and round.
      first: where the first round's marks come from: "robot" or a folder of scribbles.
      choose: how later frames are chosen: "worst" (by `metric`, "jf" or "j"), "suggested" or
        "random".
      seconds_per_object: allowed in a round; None = no limit.
      jf_per_round, j_per_round, f_per_round: after each round.
      auc: area under J&F against seconds; `jf_at_60s`: that curve at 60 s; `interaction_auc`: area
        under J&F against rounds. `j_*`: the same of J.
      seconds_per_round: that the session took; of the simulated user and of scoring none count.
      time_split: phase -> seconds in each round.
      sequences: per sequence `jf_per_round`, `j_per_round`, `f_per_round`, `seconds_per_round`,
        `objects`, and its `samples`.
      skipped: `{"name", "reason"}` of every sequence that was not measured.
    """

    dataset: str
    model: str
    device: str
    marks: str
    clicks: int
    first: str
    choose: str
    metric: str
    seed: int
    rounds: int
    seconds_per_object: float | None
    samples: int
    objects: int
    jf_per_round: list[float]
    j_per_round: list[float]
    f_per_round: list[float]
    auc: float
    jf_at_60s: float
    interaction_auc: float
    j_auc: float
    j_at_60s: float
    j_interaction_auc: float
    seconds_per_round: list[float]
    time_split: dict[str, list[float]]
    sequences: dict[str, Any]
    skipped: list[dict[str, str]]


def key(sample: Sample) -> str:
    """Names a sample in files and on the page."""
    return sample.sequence if sample.name == "robot" else f"{sample.sequence}_{sample.name}"


def summarise(
    results: Results, *, rounds: int, seconds_per_object: float | None, **facts: Any
) -> InteractiveReport:
    """Means over the samples. Raises ValueError when there is none."""
    samples = results.samples
    if not samples:
        raise ValueError(
            f"{facts['dataset']}: no sequence could be measured, skipped {results.skipped}"
        )
    scores = _scores(samples)
    seconds = np.mean([sample.waited for sample in samples], 0)
    objects = float(np.mean([len(sample.objects) for sample in samples]))
    limit = None if seconds_per_object is None else seconds_per_object * rounds * objects
    jf, j = (time_curve(scores[f"{name}_per_round"], seconds, limit) for name in ("jf", "j"))
    names = dict.fromkeys(sample.sequence for sample in samples)
    return InteractiveReport(
        **facts,
        **scores,
        rounds=rounds,
        seconds_per_object=seconds_per_object,
        samples=len(samples),
        objects=sum(len(sample.objects) for sample in samples),
        auc=auc(jf),
        jf_at_60s=value_at(jf, AT),
        interaction_auc=auc(round_curve(scores["jf_per_round"])),
        j_auc=auc(j),
        j_at_60s=value_at(j, AT),
        j_interaction_auc=auc(round_curve(scores["j_per_round"])),
        seconds_per_round=seconds.tolist(),
        time_split={
            phase: np.mean([sample.seconds[phase] for sample in samples], 0).tolist()
            for phase in PHASES
        },
        sequences={name: _sequence([s for s in samples if s.sequence == name]) for name in names},
        skipped=results.skipped,
    )


def _sequence(samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        **_scores(samples),
        "seconds_per_round": np.mean([sample.waited for sample in samples], 0).tolist(),
        "objects": len(samples[0].objects),
        "samples": [
            {
                "name": sample.name,
                "frames": list(sample.frames),
                "jf_per_round": sample.jf.tolist(),
                "seconds_per_round": sample.waited.tolist(),
            }
            for sample in samples
        ],
    }


def _scores(samples: Sequence[Sample]) -> dict[str, Any]:
    """Means over all objects of the samples after each round."""
    j = np.concatenate([sample.j for sample in samples], 1).mean(1)
    f = np.concatenate([sample.f for sample in samples], 1).mean(1)
    return {
        "jf_per_round": ((j + f) / 2).tolist(),
        "j_per_round": j.tolist(),
        "f_per_round": f.tolist(),
    }
