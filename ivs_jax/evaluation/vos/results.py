"""J and F of result masks that lie on disk: no network, nothing but the masks is read.

results/<sequence>/<frame>.png beside annotations/<sequence>/<frame>.png. The frames are those with
an annotation; the first and the last need no result, they are not scored.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ivs_jax.data.layouts.davis import Year, davis_sequences
from ivs_jax.data.layouts.folder_pair import folder_pair, sequence_folders
from ivs_jax.evaluation.davis import read_objects
from ivs_jax.evaluation.report.pictures import strip_jpeg
from ivs_jax.evaluation.vos.record import Measured, VosReport, summarise
from ivs_jax.evaluation.vos.report import write_vos
from ivs_jax.evaluation.vos.scores import (
    ObjectScores,
    SequenceScores,
    objects_of,
    score_frames,
    scored_frames,
)
from ivs_jax.io import Video, open_video
from ivs_jax.io.images import list_images

_GREY = 128  # behind the masks of a strip where there is no image


class ResultSequence:
    """Masks and annotations of one sequence.

    Attributes:
      name: of the sequence.
      annotations, results: one file per frame; results of the first and last may be absent.
      frames: folder of images behind the strips, or None.
      joined: all objects count as one (DAVIS-2016).
      highest: result file -> highest id in it, of those read so far.
    """

    def __init__(
        self, name: str, annotations: Path, results: Path, frames: Path | None, joined: bool
    ) -> None:
        self.name, self.frames, self.joined = name, frames, joined
        self.annotations = list_images(annotations)
        if len(self.annotations) < 3:
            raise ValueError(f"{annotations}: {len(self.annotations)} masks, expected at least 3")
        found = {path.stem: path for path in list_images(results)}
        self.results = [found.get(path.stem) for path in self.annotations]
        absent = [i for i in scored_frames(len(self.results)) if self.results[i] is None]
        if absent:
            stem = self.annotations[absent[0]].stem
            raise ValueError(
                f"{results}: no result {stem}.png ({len(absent)} of "
                f"{len(scored_frames(len(self.results)))} scored frames missing)"
            )
        self.highest: dict[Path, int] = {}

    def truth(self, frame: int) -> np.ndarray:
        """Ids `[H, W]` uint8 of the annotation."""
        return read_objects(self.annotations[frame], self.size, joined=self.joined)

    def predicted(self, frame: int) -> np.ndarray:
        """Ids `[H, W]` uint8 of the result."""
        path = self.results[frame]
        assert path is not None, "a scored frame has a result"
        labels = read_objects(path, self.size, joined=self.joined)
        self.highest[path] = int(labels.max())
        return labels

    def image(self, frame: int) -> np.ndarray:
        """uint8 `[H, W, 3]`; grey where there is no image of that name and size."""
        name = self.annotations[frame].stem
        if self._video and self._video.size == self.size and name in self._video.names:
            return self._video[self._video.names.index(name)]
        return np.full((*self.size, 3), _GREY, np.uint8)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W), that of the first annotation."""
        height, width = read_objects(self.annotations[0]).shape
        return height, width

    @cached_property
    def _video(self) -> Video | None:
        return open_video(self.frames) if self.frames and self.frames.is_dir() else None


def open_results(
    results: str | Path,
    *,
    root: str | Path | None = None,
    annotations: str | Path | None = None,
    sequences: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = "480p",
    year: Year | None = None,
) -> list[ResultSequence]:
    """Pairs the masks below `results` with their annotations.

    Args:
      results: a folder of masks for each sequence, or of one sequence's masks.
      root: of the DAVIS layout (see `data.layouts.davis`), with the sequences of `split`; or with
        `annotations` the frames behind the strips.
      annotations: a folder of masks for each sequence, or of one sequence's, instead of `root`'s.
      sequences: names, instead of all.

    Raises ValueError naming a folder or file that is absent.
    """
    results = Path(results)
    if annotations is not None:
        pairs = _beside(Path(annotations), root, sequences)
    elif root is not None:
        found_in = davis_sequences(
            Path(root), names=sequences or None, split=split, resolution=resolution, year=year
        )
        pairs = {one.name: (one.masks, one.frames) for one in found_in}
    else:
        raise ValueError(f"{results}: what are these scored against? give ROOT or --annotations")
    given = sequence_folders(results)
    if len(pairs) == 1 and list(given.values()) == [results]:
        given = dict.fromkeys(pairs, results)
    found = []
    for name, (folder, frames) in pairs.items():
        masks = given.get(name, results / name)
        for path in (folder, masks):
            if not path.is_dir():
                raise ValueError(f"{path}: no such folder, expected the sequence {name!r}")
        found.append(ResultSequence(name, folder, masks, frames, year == "2016"))
    return found


def _beside(
    annotations: Path, frames: str | Path | None, sequences: Sequence[str] | None
) -> dict[str, tuple[Path, Path | None]]:
    """Name -> folders of annotations and of frames, which lie as the annotations do."""
    if frames is None:
        folders = sequence_folders(annotations, sequences)
        return {name: (folder, None) for name, folder in folders.items()}
    pairs = folder_pair(Path(frames), annotations, names=sequences)
    return {one.name: (one.masks, one.frames) for one in pairs}


def score_results(
    sequences: Sequence[ResultSequence],
    *,
    dataset: str,
    results: str,
    out: str | Path | None = None,
    page: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> VosReport:
    """Scores result masks and returns (and writes) the report, see `vos.run_vos`.

    `results` is what the report calls them. Raises ValueError also for a result with an id above
    those of the annotations: one of another sequence, most likely.
    """
    measured = Measured()
    for done, sequence in enumerate(sequences):
        if progress:
            progress(done, len(sequences), sequence.name)
        scores = _scored(sequence)
        measured.add(sequence.name, scores)
        if scores and (out or page):
            frames = scored_frames(scores.frames)
            measured.strips[sequence.name] = strip_jpeg(
                frames, sequence.image, sequence.predicted, sequence.truth
            )
    if progress:
        progress(len(sequences), len(sequences), "")
    report = summarise(
        measured, dataset=dataset, prompt="results", clicks=0, model=results, device="not run"
    )
    write_vos(report, measured, out=out, page=page)
    return report


def _scored(sequence: ResultSequence) -> SequenceScores | None:
    objects = objects_of(sequence.truth(0))
    if not objects:
        return None
    annotated = {0: objects[-1]}

    def truth(frame: int) -> np.ndarray:
        labels = sequence.truth(frame)
        annotated[frame] = int(labels.max())
        return labels

    count = len(sequence.annotations)
    j, f = score_frames(truth, sequence.predicted, objects, scored_frames(count))
    known = max(annotated.values())
    for path, highest in sorted(sequence.highest.items()):
        if highest > known:
            raise ValueError(f"{path}: object {highest}, but the annotations end at {known}")
    scores = {number: ObjectScores(j[row], f[row]) for row, number in enumerate(objects)}
    return SequenceScores(sequence.name, scores, count)
