"""What a video evaluation measured, and its summary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ivs_jax.evaluation.region import Mean
from ivs_jax.evaluation.vos.scores import ObjectScores, SequenceScores, average, statistics

FIRST = (1, 5, 10, 25)  # frames after the first over which its mask is followed


@dataclass
class Measured:
    """What a run collects, sequence by sequence.

    Attributes:
      scores: of the sequences that were measured.
      skipped: `{"name", "reason"}` of the others.
      strips: sequence -> JPEG, see `report.pictures`.
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
