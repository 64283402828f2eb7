"""The DAVIS interactive protocol on sequences (experiments/papers/evaluation.md, section 4.1).

A simulated user corrects a video round after round: `user`. What is read off its scores
and seconds: `scores`, `record`; its files and page: `report`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ivs_jax.evaluation.davis import DavisSequence
from ivs_jax.evaluation.interactive.record import InteractiveReport, Results, key, summarise
from ivs_jax.evaluation.interactive.report import write_interactive
from ivs_jax.evaluation.interactive.user import Protocol, Task, run_sample
from ivs_jax.evaluation.report.files import device_description
from ivs_jax.evaluation.sequences import opened_engine, state_strip
from ivs_jax.evaluation.vos.scores import objects_of
from ivs_jax.interaction.davis_scribbles import read_scribbles
from ivs_jax.session import Engine

Progress = Callable[[int, int, str], None]


def run_interactive(
    sequences: Sequence[DavisSequence],
    load_engine: Callable[[Path], Engine],
    *,
    dataset: str,
    protocol: Protocol | None = None,
    scribbles: str | Path | None = None,
    out: str | Path | None = None,
    page: str | Path | None = None,
    progress: Progress | None = None,
) -> InteractiveReport:
    """Evaluates an engine on sequences and returns (and writes) the report.

    Args:
      sequences: see `evaluation.davis`.
      load_engine: folder of frames -> engine; called once a sequence, its video is closed after.
      dataset: what the report calls the sequences.
      protocol: default: scribbles on the worst frame, 8 rounds, 30 s an object.
      scribbles: folder of <sequence>/*.json, DAVIS scribbles of the first round: a sample for each
        file; None = the robot's, one sample a sequence. Later rounds are the robot's anyway.
      out, page: folders for files and for the page, see `report.write_interactive`.
      progress: called with (rounds done, rounds of the sequence, sequence) after every round.

    Objects are the ids that occur on any frame. Sequences without one are listed in `skipped`.
    Raises ValueError for missing or unfitting files, or when nothing could be measured.
    """
    protocol = protocol or Protocol()
    if scribbles is not None and protocol.marks == "clicks":
        raise ValueError(f"rounds of clicks begin with clicks, found scribbles {scribbles}")
    results, model = Results(), ""
    for sequence in sequences:
        with opened_engine(sequence, load_engine) as engine:
            model = engine.name
            tasks = list(_tasks(sequence, engine, scribbles))
            if not tasks:
                reason = "no object on any frame"
                results.skipped.append({"name": sequence.name, "reason": reason})
            for task in tasks:
                state, sample = run_sample(engine, task, protocol, progress)
                results.samples.append(sample)
                if out or page:
                    results.strips[key(sample)] = state_strip(state, task.truth.__getitem__)
    report = summarise(
        results,
        dataset=dataset,
        model=model,
        device=device_description(),
        first="robot" if scribbles is None else Path(scribbles).name,
        **asdict(protocol) | {"clicks": protocol.clicks if protocol.marks == "clicks" else 0},
    )
    write_interactive(report, results, out=out, page=page)
    return report


def _tasks(sequence: DavisSequence, engine: Engine, scribbles: str | Path | None) -> Iterator[Task]:
    """The samples of one sequence: nothing if no object is on any frame."""
    video, count = engine.video, len(sequence.annotations)
    truth = tuple(sequence.truth(frame, video.size) for frame in range(count))
    objects = sorted({number for labels in truth for number in objects_of(labels)})
    if not objects:
        return
    if scribbles is None:
        yield Task(sequence.name, "robot", truth, tuple(objects))
        return
    folder = Path(scribbles) / sequence.name
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ValueError(f"{folder}: no scribbles of {sequence.name!r}, expected *.json files")
    for file in files:
        first = read_scribbles(file, video.size, count)
        drawn = {stroke.object for scribble in first for stroke in scribble.strokes}
        if unknown := sorted(drawn - {0, *objects}):
            raise ValueError(f"{file}: a stroke of object {unknown[0]}, objects are {objects}")
        yield Task(sequence.name, file.stem, truth, tuple(objects), tuple(first))
