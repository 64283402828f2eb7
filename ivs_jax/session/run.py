"""One propagation as a sequence of states: whoever stops pulling has cancelled it."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from ivs_jax.interaction.events import Propagate
from ivs_jax.io import pack_labels, unpack_labels, unpack_probability
from ivs_jax.session.history import commit
from ivs_jax.session.merge import compose, most_probable
from ivs_jax.session.state import FrameMasks, Scene, State
from ivs_jax.types import Annotation


class Advance(NamedTuple):
    """One more frame is done.

    Attributes:
      frame: which one.
      done, total: frames finished and frames asked for.
      state: the session as it would be if the propagation ended here.
    """

    frame: int
    done: int
    total: int
    state: State


def propagated(state: State, event: Propagate) -> Generator[Advance, None, None]:
    """Runs a propagation, frame by frame; forward first, then backward.

    The last `state` records `event` as it is, the ones before it record how far it came.
    Raises ValueError, at the first pull, if there is nothing to propagate from or to.
    """
    began = time.perf_counter()
    begin = first_frame(state, event)
    ahead, behind = _reach(len(state.engine.video), begin, event)
    asked = event.done or (len(ahead), len(behind))
    if asked[0] > len(ahead) or asked[1] > len(behind):
        possible = (len(ahead), len(behind))
        raise ValueError(f"propagate says {event.done} frames done, only {possible} are there")
    source = _Annotations(state, begin)
    objects = tuple(sorted(source.objects()))
    frames, done, spent = dict(state.scene.frames), [0, 0], 0.0
    for side, targets in enumerate((ahead, behind)):
        if not asked[side]:
            continue
        engine = state.engine
        answers = engine.propagator.propagate(engine.video, source, objects, targets, start=begin)
        with closing(cast(Any, answers)):
            for frame, probabilities in answers:
                frames[frame] = _renewed(frames.get(frame), probabilities, objects)
                done[side] += 1
                whole = event.done is None and done == list(asked)
                record = event if whole else replace(event, done=(done[0], done[1]))
                after = commit(state, record, Scene(state.scene.objects, dict(frames)))
                spent += time.perf_counter() - began
                cost = state.statistics.plus({"propagate": spent}, propagated=sum(done))
                after = replace(after, statistics=cost)
                yield Advance(frame, sum(done), sum(asked), after)
                began = time.perf_counter()  # what the caller does meanwhile is not our time
                if done[side] == asked[side]:
                    break


def first_frame(state: State, event: Propagate) -> int:
    """The frame a propagation starts from. Raises ValueError if it has no masks."""
    annotated = state.annotated
    if event.start is None:
        if not annotated:
            raise ValueError("nothing to propagate: no frame is annotated, click an object first")
        return annotated[0]
    count = len(state.engine.video)
    if not 0 <= event.start < count:
        raise ValueError(
            f"frame {event.start} is outside the video, whose frames are 0..{count - 1}"
        )
    if event.start not in state.scene.frames:
        raise ValueError(
            f"nothing to propagate from frame {event.start}: it has no masks, "
            f"annotated frames are {list(annotated) or 'none yet'}"
        )
    return event.start


def _reach(count: int, begin: int, event: Propagate) -> tuple[Sequence[int], Sequence[int]]:
    """Frames to visit (forward, backward), nearest first."""
    limit = count if event.limit is None else event.limit
    ahead = range(begin + 1, min(begin + limit, count - 1) + 1)
    behind = range(begin - 1, max(begin - limit, 0) - 1, -1)
    ahead = ahead if event.direction != "backward" else range(0)
    behind = behind if event.direction != "forward" else range(0)
    if not ahead and not behind:
        raise ValueError(
            f"nothing to propagate {event.direction} from frame {begin}: "
            f"the video has {count} frame{'s' * (count != 1)}"
        )
    return ahead, behind


def _renewed(
    before: FrameMasks | None, probabilities: np.ndarray, objects: tuple[int, ...]
) -> FrameMasks:
    """The record of a frame after propagation reached it; marks and clicks stay as they are."""
    marks = before.marks if before else {}
    labels = most_probable(probabilities, objects, fixed=marks)
    below = pack_labels(labels)
    if before is None or not marks:
        return FrameMasks(below, propagated=below, reached=objects)
    marked = {k: unpack_probability(mark.probability) for k, mark in marks.items()}
    whole = compose(labels.shape, marked, before.clicks, labels)
    reached = tuple(k for k in objects if k not in marks)
    return replace(before, labels=pack_labels(whole), propagated=below, reached=reached)


class _Annotations(Mapping[int, Annotation]):
    """What the propagator may rely on (see `engine.Propagator`), decoded at each access."""

    def __init__(self, state: State, begin: int):
        self._state = state
        self._known = {f: tuple(sorted(state.scene.frames[f].marks)) for f in state.annotated}
        self._known[begin] = tuple(state.provenance(begin))

    def objects(self) -> set[int]:
        return {number for known in self._known.values() for number in known}

    def __getitem__(self, frame: int) -> Annotation:
        known = self._known[frame]
        labels = unpack_labels(self._state.scene.frames[frame].labels)
        return Annotation(np.where(np.isin(labels, known), labels, 0).astype(np.uint8), known)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._known))

    def __len__(self) -> int:
        return len(self._known)
