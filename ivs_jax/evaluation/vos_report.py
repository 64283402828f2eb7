"""Record, summary, files and pictures of a video evaluation."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ivs_jax.evaluation.davis import DavisSequence, read_objects
from ivs_jax.evaluation.region import Mean
from ivs_jax.evaluation.report import markdown_table, write_figure, write_json, write_text
from ivs_jax.evaluation.series import Statistics, average, statistics
from ivs_jax.io import atomic, contact_sheet, davis_palette, overlay
from ivs_jax.session import State

STRIP_WIDTH = 240  # pixels of one frame in a strip


@dataclass(frozen=True)
class ObjectScores:
    """One object: `j` and `f` `[T - 2]` of the scored frames, and J of frame 0 after the prompt."""

    j: np.ndarray
    f: np.ndarray
    prompted: float


@dataclass(frozen=True)
class SequenceScores:
    """One sequence: scores by object id, frames propagated and the seconds that took."""

    name: str
    objects: Mapping[int, ObjectScores]
    propagated: int
    seconds: float


@dataclass(frozen=True)
class VosReport:
    """Result of a video evaluation; `asdict` of it is report.json.

    Attributes:
      jf: mean of the means of J and F.
      j, f: `mean`, `recall` (share of frames above 0.5), `decay`; mean over objects.
      first_frame_j: mean J of frame 0 after the prompt: 1 for a mask, less for clicks.
      fps: propagated frames per second of wall time, decoding and packing of masks included. The
        first sequence, which compiles, is left out unless it is the only one.
      sequences: per sequence `jf`, `j`, `f`, `objects`, `frames`, `fps`.
      skipped: `{"name", "reason"}` of every sequence that was not measured.
    """

    dataset: str
    split: str
    resolution: str
    prompt: str
    clicks: int
    model: str
    jf: float
    j: dict[str, float]
    f: dict[str, float]
    first_frame_j: float
    objects: int
    fps: float
    sequences: dict[str, Any]
    device: str
    skipped: list[dict[str, str]]


def summarise(
    scores: Sequence[SequenceScores], *, skipped: list[dict[str, str]], **facts: Any
) -> VosReport:
    """Means over all objects of all sequences. Raises ValueError when there is none."""
    if not scores:
        raise ValueError(f"{facts['dataset']}: no sequence could be measured, skipped {skipped}")
    everything = [scored for sequence in scores for scored in sequence.objects.values()]
    prompted = Mean()
    for scored in everything:
        prompted = prompted.add(scored.prompted)
    timed = scores[1:] or scores
    return VosReport(
        **facts,
        **_means(everything),
        first_frame_j=prompted.value,
        objects=len(everything),
        fps=sum(s.propagated for s in timed) / sum(s.seconds for s in timed),
        sequences={sequence.name: _sequence(sequence) for sequence in scores},
        skipped=skipped,
    )


def write_report(report: VosReport, scores: Sequence[SequenceScores], out: Path) -> None:
    """Writes report.json, report.md, per_frame.csv and plots/<sequence>.png into `out`."""
    write_json(out / "report.json", asdict(report))
    write_text(out / "report.md", as_markdown(report))
    write_text(out / "per_frame.csv", _csv(scores))
    for sequence in scores:
        write_figure(out / "plots" / f"{sequence.name}.png", _plot(sequence))


def as_markdown(report: VosReport) -> str:
    """The report as a page."""
    header = ["sequence", "J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay"]
    rows: list[list[Any]] = [
        [name, scores["jf"], *scores["j"].values(), *scores["f"].values(), scores["fps"]]
        for name, scores in report.sequences.items()
    ]
    whole = ["**all objects**", report.jf, *report.j.values(), *report.f.values(), report.fps]
    prompt = f"{report.clicks} robot clicks" if report.prompt == "clicks" else "the true mask"
    page = [
        f"# {report.dataset} {report.split} at {report.resolution}: {report.model}\n",
        f"{report.objects} objects of {len(report.sequences)} sequences, from {prompt} on frame 0 "
        f"(J of frame 0: {report.first_frame_j:.3f}), on {report.device}. The first and the last "
        "frame are not scored.\n",
        markdown_table([*header, "frames/s"], [*rows, whole]),
    ]
    if report.skipped:
        skips = [[entry["name"], entry["reason"]] for entry in report.skipped]
        page.append(markdown_table(["skipped", "reason"], skips))
    return "\n".join(page)


def write_strip(out: Path, sequence: DavisSequence, state: State, count: int) -> None:
    """Writes strips/<sequence>.png: `count` frames over time, prediction above truth."""
    video = state.engine.video
    chosen = np.unique(np.linspace(0, len(video) - 1, count).round().astype(int)).tolist()
    truths = [read_objects(sequence.annotations[frame], video.size) for frame in chosen]
    images = [overlay(video[frame], state.labels(frame)) for frame in chosen]
    images += [overlay(video[f], labels) for f, labels in zip(chosen, truths, strict=True)]
    titles = [f"frame {frame}" for frame in chosen] + ["truth"] * len(chosen)
    sheet = contact_sheet(images, titles, columns=len(chosen), width=STRIP_WIDTH)
    with atomic(out / "strips" / f"{sequence.name}.png") as temporary:
        sheet.save(temporary)


def _means(objects: Sequence[ObjectScores]) -> dict[str, Any]:
    j: Statistics = average(statistics(scored.j) for scored in objects)
    f: Statistics = average(statistics(scored.f) for scored in objects)
    return {"jf": (j.mean + f.mean) / 2, "j": j._asdict(), "f": f._asdict()}


def _sequence(scores: SequenceScores) -> dict[str, Any]:
    return {
        **_means(list(scores.objects.values())),
        "objects": {
            str(number): {**_means([scored]), "first_frame_j": scored.prompted}
            for number, scored in scores.objects.items()
        },
        "frames": scores.propagated + 1,
        "fps": scores.propagated / scores.seconds,
    }


def _csv(scores: Sequence[SequenceScores]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence", "object", "frame", "j", "f"])
    for sequence in scores:
        for number, scored in sequence.objects.items():
            for frame, (j, f) in enumerate(zip(scored.j, scored.f, strict=True), 1):
                writer.writerow([sequence.name, number, frame, f"{j:.6f}", f"{f:.6f}"])
    return text.getvalue()


def _plot(sequence: SequenceScores) -> Figure:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for number, scored in sequence.objects.items():
        colour = davis_palette()[number] / 255
        label = f"object {number}, J {scored.j.mean():.3f}"
        axes.plot(range(1, len(scored.j) + 1), scored.j, color=colour, label=label)
    axes.set(xlabel="frame", ylabel="J", ylim=(0, 1.02), title=sequence.name)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    return figure
