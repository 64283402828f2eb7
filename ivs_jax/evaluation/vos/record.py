"""Record and summary of a video evaluation, and its rows for tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ivs_jax.evaluation.region import Mean
from ivs_jax.evaluation.report.files import markdown_table
from ivs_jax.evaluation.vos.scores import ObjectScores, SequenceScores
from ivs_jax.evaluation.vos.series import average, statistics

FIRST = (1, 5, 10, 25)  # frames after the first over which its mask is followed
MEASURES = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)  # the order and the names of the official tables


@dataclass
class Measured:
    """What a run collects, sequence by sequence.

    Attributes:
      scores: of the sequences that were measured.
      skipped: `{"name", "reason"}` of the others.
      strips: sequence -> JPEG, see `report.strips`.
    """

    scores: list[SequenceScores] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    strips: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, scores: SequenceScores | None) -> None:
        """The scores of a sequence; None if it has no object on its first frame."""
        if scores is None:
            self.skipped.append({"name": name, "reason": "no object on the first frame"})
        else:
            self.scores.append(scores)


@dataclass(frozen=True)
class VosReport:
    """Result of a video evaluation; `asdict` of it is report.json.

    Attributes:
      dataset: name of the set, and what of it was measured.
      prompt: "mask" or "clicks" on the first frame; "results" if masks on disk were scored.
      clicks: most clicks an object; 0 for the other prompts.
      model: name of the engine, or of the results.
      jf: mean of the means of J and F.
      j, f: `mean`, `recall` (share of frames above 0.5), `decay`; mean over objects.
      first_frame_j: mean J of frame 0 after the prompt: 1 for a mask, less for clicks. None for
        results.
      own_j: mean J of frame 0 segmented from its own mask; None if not asked for.
      first_j: mean J of the first 1, 5, 10 and 25 frames after it, by that number.
      fps: propagated frames per second of wall time, decoding and packing of masks included. The
        first sequence, which compiles, is left out unless it is the only one. None for results.
      sequences: per sequence `jf`, `j`, `f`, `objects` (the same by id), `frames`, `fps`.
      skipped: `{"name", "reason"}` of every sequence that was not measured.
    """

    dataset: str
    prompt: str
    clicks: int
    model: str
    jf: float
    j: dict[str, float]
    f: dict[str, float]
    first_frame_j: float | None
    own_j: float | None
    first_j: dict[str, float]
    objects: int
    fps: float | None
    sequences: dict[str, Any]
    device: str
    skipped: list[dict[str, str]]


def summarise(
    measured: Measured, *, dataset: str, prompt: str, clicks: int, model: str, device: str
) -> VosReport:
    """Means over all objects of all sequences. Raises ValueError when there is none."""
    if not measured.scores:
        raise ValueError(f"{dataset}: no sequence could be measured, skipped {measured.skipped}")
    everything = [scored for one in measured.scores for scored in one.objects.values()]
    return VosReport(
        dataset=dataset,
        prompt=prompt,
        clicks=clicks,
        model=model,
        **_means(everything),
        first_frame_j=_mean(scored.prompted for scored in everything),
        own_j=_mean(scored.own for scored in everything),
        first_j=_first(everything),
        objects=len(everything),
        fps=_speed(measured.scores[1:] or measured.scores),
        sequences={one.name: _sequence(one) for one in measured.scores},
        device=device,
        skipped=measured.skipped,
    )


def as_markdown(report: VosReport) -> str:
    """The report as a page."""
    page = [
        f"# {report.dataset}: {report.model}\n",
        f"{described(report)}\n",
        markdown_table(["sequence", *columns(report)], [*sequence_rows(report), total_row(report)]),
        markdown_table(held_columns(report), [held_row(report)]),
    ]
    if report.skipped:
        skips = [[entry["name"], entry["reason"]] for entry in report.skipped]
        page.append(markdown_table(["skipped", "reason"], skips))
    return "\n".join(page)


def described(report: VosReport) -> str:
    """What was measured and how, in two sentences."""
    how = {
        "mask": "from the true mask on frame 0",
        "clicks": f"from {report.clicks} robot clicks on frame 0",
        "results": "masks read from disk",
    }[report.prompt]
    if report.first_frame_j is not None:
        how += f" (J of frame 0: {report.first_frame_j:.3f}), on {report.device}"
    return (
        f"{report.objects} objects of {len(report.sequences)} sequences, {how}. "
        "The first and the last frame are not scored."
    )


def columns(report: VosReport) -> list[str]:
    """Heads of the columns of `sequence_rows` after the name."""
    names = [name.replace("-", " ") for name in MEASURES]
    return names if report.fps is None else [*names, "frames/s"]


def sequence_rows(report: VosReport) -> list[list[Any]]:
    """A row for each sequence: name and the values of `columns`."""
    return [[name, *_row(report, scores)] for name, scores in report.sequences.items()]


def total_row(report: VosReport) -> list[Any]:
    """The row of the whole set."""
    return ["all objects", *_row(report, asdict(report))]


def held_columns(report: VosReport) -> list[str]:
    """Heads of `held_row`."""
    return ["J of the first frames", *_held(report)]


def held_row(report: VosReport) -> list[Any]:
    """What frame 0 was given, what the network makes of it again, and the frames that follow."""
    return ["all objects", *_held(report).values()]


def _held(report: VosReport) -> dict[str, float]:
    found = {
        "frame 0 as prompted": report.first_frame_j,
        "frame 0 from its own mask": report.own_j,
        **{f"frames 1 to {count}": value for count, value in report.first_j.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _row(report: VosReport, scores: Mapping[str, Any]) -> list[Any]:
    return measures(scores) if report.fps is None else [*measures(scores), scores["fps"]]


def measures(scores: Mapping[str, Any]) -> list[float]:
    """The values of MEASURES from a mapping with `jf`, `j` and `f`."""
    return [scores["jf"], *scores["j"].values(), *scores["f"].values()]


def _means(objects: Sequence[ObjectScores]) -> dict[str, Any]:
    j = average(statistics(scored.j) for scored in objects)
    f = average(statistics(scored.f) for scored in objects)
    return {"jf": (j.mean + f.mean) / 2, "j": j._asdict(), "f": f._asdict()}


def _mean(values: Iterable[float | None]) -> float | None:
    total = Mean()
    for value in values:
        if value is not None:
            total = total.add(value)
    return total.value if total.count else None


def _first(objects: Sequence[ObjectScores]) -> dict[str, float]:
    """Mean J of the first scored frames: how well a mask is held from its own frame on."""
    return {
        str(count): float(np.mean([scored.j[:count].mean() for scored in objects]))
        for count in FIRST
    }


def _speed(scores: Sequence[SequenceScores]) -> float | None:
    timed = [(one.frames - 1, one.seconds) for one in scores if one.seconds is not None]
    if not timed:
        return None
    return sum(frames for frames, _ in timed) / sum(seconds for _, seconds in timed)


def _sequence(scores: SequenceScores) -> dict[str, Any]:
    return {
        **_means(list(scores.objects.values())),
        "objects": {
            str(number): {**_means([scored]), "first_frame_j": scored.prompted}
            for number, scored in scores.objects.items()
        },
        "frames": scores.frames,
        "fps": _speed([scores]),
    }
