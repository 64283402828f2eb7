"""A simulated user of the DAVIS interactive protocol: marks, looks, marks the next frame.

The protocol is in experiments/papers/evaluation.md, section 4.1. Round 1: scribbles of a file, or
of the robot on the frame that shows the objects best; then the masks go to the whole video. Every
later round: marks on one more frame where the masks are wrong, then the frames that these concern.
After each round J and F of all frames.

Where this differs from the published service, or the protocol leaves room: the seconds of a round
are those of the session alone, so the time of robot and measure counts neither for the curve nor
against the limit; a round that ends past the limit is taken back, and it and all later ones keep
the last result at no cost; a frame where the robot finds nothing to mark is a round without change.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal, get_args

import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.evaluation.interactive.choices import Choice, choose_frame
from ivs_jax.evaluation.interactive.record import PHASES, SESSION, Sample
from ivs_jax.evaluation.interactive.scores import FrameScores
from ivs_jax.interaction.events import Click, Scribble
from ivs_jax.interaction.scribble_robot import robot_scribbles
from ivs_jax.interaction.video_robot import best_view, robot_click
from ivs_jax.session import Engine, State, start, step
from ivs_jax.session.run import next_propagations

Marks = Literal["scribbles", "clicks"]
Metric = Literal["jf", "j"]


@dataclass(frozen=True)
class Protocol:
    """What the simulated user does.

    Attributes:
      rounds: at least 1.
      seconds_per_object: a sample's limit is this, times rounds, times its objects; None = none.
      marks: the robot draws "scribbles", or makes `clicks` clicks an object and round, each one
        after it saw what the last one changed.
      choose: the frame of round 2 and on, see `choices.choose_frame`.
      metric: by which frames are the worst: "jf" (J&F) or "j".
      seed: of the robot and of frames drawn by lot.
    """

    rounds: int = 8
    seconds_per_object: float | None = 30.0
    marks: Marks = "scribbles"
    clicks: int = 3
    choose: Choice = "worst"
    metric: Metric = "jf"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("marks", Marks), ("metric", Metric), ("choose", Choice)):
            if getattr(self, name) not in get_args(allowed):
                expected = ", ".join(get_args(allowed))
                raise ValueError(f"{name} must be one of {expected}, found {getattr(self, name)!r}")
        for name in ("rounds", "clicks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.seconds_per_object is not None and not self.seconds_per_object > 0:
            raise ValueError(f"seconds must be above 0, found {self.seconds_per_object}")

    def limit(self, objects: int) -> float:
        """Seconds that a sample of so many objects may take in all."""
        if self.seconds_per_object is None:
            return math.inf
        return self.seconds_per_object * self.rounds * objects


@dataclass(frozen=True)
class Task:
    """What one sample is about.

    Attributes:
      sequence, sample: their names.
      truth: ids `[H, W]` uint8 of every frame.
      objects: ids to segment, ascending, one or more.
      first: scribbles of the first round; none = the robot's marks.
    """

    sequence: str
    sample: str
    truth: tuple[np.ndarray, ...]
    objects: tuple[int, ...]
    first: tuple[Scribble, ...] = ()


def run_sample(
    engine: Engine,
    task: Task,
    protocol: Protocol,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[State, Sample]:
    """Runs one sample; returns the session as it is at the end, and what was measured.

    `progress` is called with (rounds done, rounds, sequence) after every round.
    """
    rounds: list[_Round] = []
    waited, limit = 0.0, protocol.limit(len(task.objects))
    with CompileClock() as clock:
        user = _User(engine, task, protocol, clock)
        for number in range(1, protocol.rounds + 1):
            state, frame = user.round()
            waited += user.waited
            if waited > limit:
                break
            rounds.append(user.finish(state, frame))
            if progress:
                progress(number, protocol.rounds, task.sequence)
    return user.state, _sample(task, rounds, user.idle(), protocol.rounds)


@dataclass(frozen=True)
class _Round:
    """One round: the frame marked, J and F `[K]` after it, seconds by phase."""

    frame: int
    j: np.ndarray
    f: np.ndarray
    seconds: dict[str, float]


class _User:
    """The simulated user and its session.

    Attributes:
      state: the session after the last finished round.
    """

    def __init__(self, engine: Engine, task: Task, protocol: Protocol, clock: CompileClock) -> None:
        self.state = start(engine)
        self._task, self._protocol, self._clock = task, protocol, clock
        self._scores = FrameScores(task.truth, task.objects)
        self._chosen: list[int] = []
        self._seconds = dict.fromkeys(PHASES, 0.0)
        lot = zlib.crc32(f"{task.sequence} {task.sample}".encode())
        self._rng = np.random.default_rng([protocol.seed, lot])

    @property
    def waited(self) -> float:
        """Seconds of the session in this round."""
        return sum(self._seconds[phase] for phase in SESSION)

    def round(self) -> tuple[State, int]:
        """(the session after one more round, the frame marked in it); `state` stays as it is."""
        self._seconds = dict.fromkeys(PHASES, 0.0)
        frame = self._frame()
        marked = self._clicked(frame) if self._protocol.marks == "clicks" else self._drawn(frame)
        masks = marked.scene.frames.get(frame)
        if marked is self.state or masks is None or not masks.marks:
            return marked, frame
        with self._timed("propagation"):
            for event in next_propagations(marked):
                marked = step(marked, event)
        return marked, frame

    def finish(self, state: State, frame: int) -> _Round:
        """Takes the round up and measures it."""
        self.state = state
        self._chosen.append(frame)
        with self._timed("scoring"):
            self._scores.update(state)
        return replace(self.idle(), frame=frame, seconds=self._seconds)

    def idle(self) -> _Round:
        """A round that changes nothing and costs nothing."""
        j, f = self._scores.j.mean(1), self._scores.f.mean(1)
        return _Round(-1, j, f, dict.fromkeys(PHASES, 0.0))

    def _frame(self) -> int:
        task, protocol, scores = self._task, self._protocol, self._scores
        with self._timed("robot"):
            if not self._chosen:
                drawn = [scribble.frame for scribble in task.first]
                return drawn[-1] if drawn else best_view(task.truth, task.objects)
            measure = scores.j if protocol.metric == "j" else (scores.j + scores.f) / 2
            # Who chose the frame of round 1 was not the robot: it may come to that frame again.
            later, quality = self._chosen[1:], measure.mean(0)
            return choose_frame(protocol.choose, self.state, quality, later, self._rng)

    def _drawn(self, frame: int) -> State:
        state, task = self.state, self._task
        scribbles: Sequence[Scribble] = () if self._chosen else task.first
        if not scribbles:
            with self._timed("robot"):
                strokes = robot_scribbles(
                    state.labels(frame), task.truth[frame], task.objects, self._protocol.seed
                )
            scribbles = [Scribble(frame, strokes)] if strokes else []
        with self._timed("marks"):
            for scribble in scribbles:
                state = step(state, scribble)
        return state

    def _clicked(self, frame: int) -> State:
        state, truth = self.state, self._task.truth[frame]
        for _ in range(self._protocol.clicks):
            for number in self._task.objects:
                with self._timed("robot"):
                    masks = state.scene.frames.get(frame)
                    made = [h for h in (masks.hints if masks else ()) if isinstance(h, Click)]
                    click = robot_click(state.labels(frame), truth, frame, number, made)
                if click is not None:
                    with self._timed("marks"):
                        state = step(state, click)
        return state

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        began, compiled = perf_counter(), self._clock.seconds
        yield
        self._seconds[phase] += perf_counter() - began
        if phase in SESSION:
            self._seconds["compile"] += self._clock.seconds - compiled


def _sample(task: Task, finished: Sequence[_Round], idle: _Round, count: int) -> Sample:
    """What was measured; rounds that were not finished are `idle`."""
    rounds = [*finished, *[idle] * (count - len(finished))]
    return Sample(
        task.sequence,
        task.sample,
        task.objects,
        tuple(one.frame for one in finished),
        np.stack([one.j for one in rounds]),
        np.stack([one.f for one in rounds]),
        {phase: np.array([one.seconds[phase] for one in rounds]) for phase in PHASES},
    )
