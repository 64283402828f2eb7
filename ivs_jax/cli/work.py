"""The work of `ivs segment` on one session, with bars; what was done is never lost."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from ivs_jax.cache import CompileClock
from ivs_jax.cli.output import write_results, write_sheet
from ivs_jax.cli.show import print_table, progress_bar
from ivs_jax.interaction import Click, Mask, Propagate, Scribble
from ivs_jax.io import Video
from ivs_jax.session import Engine, load, save, start, step
from ivs_jax.session.run import next_propagations, propagated
from ivs_jax.session.suggest import frame_reliability, suggest

Hint = Click | Mask | Scribble
PHASES = ("compile", "encode", "refine", "propagate")


class Work:
    """A session under way.

    Attributes:
      state: the session as it is now.
      problem: the error that ended a propagation early; what came before it is in `state`.
    """

    def __init__(
        self,
        engine: Engine,
        video: Video,
        clock: CompileClock,
        cancel: Callable[[], bool],
        session: Path,
    ) -> None:
        self.state = start(engine)
        self.problem: ValueError | None = None
        self._engine, self._video, self._cancel = engine, video, cancel
        self._clock, self._session = clock, session
        self._compiled = 0.0  # seconds of compilation inside propagation
        self._results: list[Path] = []

    def resume(self, path: Path) -> None:
        """Replays a saved session."""
        before = self._clock.seconds
        with progress_bar("resume") as advance:
            self.state = load(path, self._engine, progress=lambda *at: advance(*at[:2]))
        clicks = self.state.statistics.seconds.get("compile", 0.0)
        self._compiled += max(0.0, self._clock.seconds - before - clicks)

    def mark(self, events: Sequence[Hint]) -> None:
        """Does the clicks, strokes and masks, until there are no more or Ctrl-C was pressed."""
        with progress_bar("marks") as advance:
            for done, event in enumerate(events, 1):
                if self._cancel():
                    break
                self.state = step(self.state, event)
                advance(done, len(events))
        save(self.state, self._session)

    def carry_on(self, direction: str) -> None:
        """Carries the masks through the video, until the end, Ctrl-C or a frame that is unusable.

        If that was done before, a round from each frame that was marked since instead.
        """
        for event in next_propagations(self.state, direction):
            if self.problem is None and not self._cancel():
                self._propagate(event)

    def _propagate(self, event: Propagate) -> None:
        before = self._clock.seconds
        with progress_bar("propagate") as advance, closing(propagated(self.state, event)) as run:
            try:
                while not self._cancel() and (at := next(run, None)) is not None:
                    self.state = at.state
                    advance(at.done, at.total)
            except ValueError as error:
                self.problem = error
        self._compiled += self._clock.seconds - before
        save(self.state, self._session)

    def write(
        self, out: Path, exports: tuple[str, ...], overlay: Path | None, sheet: Path | None
    ) -> None:
        """Writes the results and saves the session."""
        with progress_bar("write") as advance:
            self._results = write_results(self.state, self._video, out, exports, overlay, advance)
        if sheet is not None:
            write_sheet(self.state, self._video, sheet)
            self._results.append(sheet)
        save(self.state, self._session)

    def summary(self, seconds: float, *, suggestions: int = 0) -> None:
        """Prints what was done and what it cost.

        `seconds` is the wall time of the command; so many `suggestions` of frames to look at next.
        """
        state = self.state
        spent = dict.fromkeys(PHASES, 0.0) | dict(state.statistics.seconds)
        spent["compile"] = self._clock.seconds
        spent["propagate"] = max(0.0, spent["propagate"] - self._compiled)
        satisfied, clicks = state.clicks_satisfied()
        frames, count = state.statistics.propagated, len(state.scene.frames)
        speed = f", {frames / spent['propagate']:.1f} a second" if spent["propagate"] else ""
        named = sorted(state.scene.objects.items())
        rows = [
            ("objects", ", ".join(f"{number} {name}".strip() for number, name in named)),
            ("frames with masks", f"{count} of {len(self._video)}"),
            ("annotated frames", str(len(state.annotated))),
            ("propagated", f"{frames} frames{speed if frames else ''}"),
            ("clicks satisfied", f"{satisfied} of {clicks}"),
            ("strokes satisfied", "{} of {} pixels".format(*state.strokes_satisfied())),
            ("evaluations", str(state.statistics.evaluations)),
            *((f"time: {phase}", f"{value:.2f} s") for phase, value in spent.items()),
            ("time: everything", f"{seconds:.2f} s"),
            *self._suggested(suggestions),
            ("results", "\n".join(str(path) for path in self._results)),
            ("session", str(self._session)),
        ]
        print_table(f"{self._engine.name} on {self._video.path}", rows)

    def _suggested(self, count: int) -> list[tuple[str, str]]:
        if not count:
            return []
        values = frame_reliability(self.state)
        frames = [f"{frame} ({values[frame]:.2f})" for frame in suggest(self.state, count)]
        return [("look at next", ", ".join(frames) or "none: no other frame was propagated")]
