"""Seconds of a second round against the number of frames it computes.

    ivs bench rounds

A clip of 50 frames of 480 x 854 was propagated once from its first frame. Then another frame is
marked, and the frame in the middle between both, from which a round goes: it computes the frames
between the annotated ones and no others. For a figure that follows the span the seconds per frame
are the same for short and for long spans, and nothing is compiled any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from ivs_jax.interaction import Mask, Propagate
from ivs_jax.io import encode_rle
from ivs_jax.session import Engine, Statistics, start, step
from ivs_jax.session.engine import Propagator
from ivs_jax.types import Clicks, Interaction

SIZE, FRAMES = (480, 854), 50
COMPILED = "/jax/core/compile/backend_compile_duration"


class Span(NamedTuple):
    """A second round.

    Attributes:
      frames: how many it computed.
      seconds: the shortest time of all repetitions.
      compilations: programs that were compiled in the meantime.
    """

    frames: int
    seconds: float
    compilations: int


class Clip:
    """A bright disk that drifts over noise; the frames are drawn when they are read."""

    path = "disk"

    def __init__(self, count: int, size: tuple[int, int]):
        self.size, self._count = size, count
        rng = np.random.default_rng(0)
        self._noise = rng.integers(0, 120, (*size, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        return np.where(self.disk(index)[..., None], np.uint8(220), self._noise)

    def disk(self, index: int, shift: int = 0) -> np.ndarray:
        """The disk on a frame, `[H, W]` bool; `shift` moves it to the right by so many pixels."""
        height, width = self.size
        rows, columns = np.ogrid[:height, :width]
        x = width * (0.3 + 0.4 * index / self._count) + shift
        return (rows - height / 2) ** 2 + (columns - x) ** 2 < (height / 5) ** 2


class _NoInteraction:
    """This benchmark gives masks."""

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
    ) -> Interaction:
        raise ValueError("the benchmark of rounds has no interaction network")


def run_rounds(
    propagator: Propagator,
    *,
    spans: Sequence[int] = (12, 24, 47),
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
    repeats: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Span]:
    """Measures rounds of the given numbers of frames, one object, on a clip of so many frames.

    Raises ValueError for a span that does not fit between two annotated frames of the clip.
    """
    for span in spans:
        if not 1 <= span <= frames - 3:
            raise ValueError(f"span must be in 1..{frames - 3} of {frames} frames, got {span}")
    clip = Clip(frames, size)
    state = start(Engine(clip, _NoInteraction(), propagator, "rounds"))

    def marked(frame: int, shift: int = 0) -> Mask:
        return Mask(frame, 1, encode_rle(clip.disk(frame, shift)))

    state = step(step(state, marked(0)), Propagate())
    found = []
    for number, span in enumerate(spans):
        middle = (span + 2) // 2
        earlier = step(state, marked(span + 2))
        seconds, compilations = [], 0
        for repeat in range(repeats):
            # Another mask each time: what propagators remember of annotated frames is not to help.
            before = replace(step(earlier, marked(middle, repeat)), statistics=Statistics())
            with _Compilations() as compiled:
                after = step(before, Propagate(middle, "both", span="round"))
            seconds.append(after.statistics.seconds["propagate"])
            compilations += compiled.count
        found.append(Span(after.statistics.propagated, min(seconds), compilations))
        if progress:
            progress(number + 1, len(spans))
    return found


def spread(found: Sequence[Span]) -> float:
    """Largest over smallest seconds per frame."""
    each = [span.seconds / span.frames for span in found]
    return max(each) / min(each)


class _Compilations:
    """Counts what is compiled inside a `with` block."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "_Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        self.count += event == COMPILED
