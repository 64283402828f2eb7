"""An engine on one annotated sequence: opened and closed, and the strip of what it found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ivs_jax.evaluation.davis import DavisSequence
from ivs_jax.evaluation.report.pictures import strip_jpeg
from ivs_jax.session import Engine, State


@contextmanager
def opened_engine(
    sequence: DavisSequence, load_engine: Callable[[Path], Engine]
) -> Iterator[Engine]:
    """The engine of a sequence; closes its video at the end, if it can be closed.

    Raises ValueError for a video of more or fewer frames than have annotations.
    """
    engine = load_engine(sequence.frames)
    video, count = engine.video, len(sequence.annotations)
    try:
        if len(video) != count:
            raise ValueError(
                f"{sequence.frames}: the engine's video has {len(video)} frames, expected {count}"
            )
        yield engine
    finally:
        close = getattr(video, "close", None)
        if close:
            close()


def state_strip(state: State, truth: Callable[[int], np.ndarray]) -> bytes:
    """A JPEG of frames of a session, its masks above the true ones; see `strip_jpeg`."""
    video = state.engine.video
    return strip_jpeg(range(len(video)), video.__getitem__, state.labels, truth)
