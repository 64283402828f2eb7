"""One propagation as a sequence of states: whoever stops pulling has cancelled it."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from typing import Any, NamedTuple, cast

import numpy as np

from ivs_jax.interaction.events import Click, Mask, Propagate, Scribble
from ivs_jax.io import pack_labels, pack_probability, unpack_labels, unpack_probability
from ivs_jax.session.hints import PromptMaps
from ivs_jax.session.history import commit, reachable
from ivs_jax.session.known import Annotations, Earlier
from ivs_jax.session.merge import compose, most_probable
from ivs_jax.session.reliability import reliability
from ivs_jax.session.rounds import Round, merge_round, plan_round
from ivs_jax.session.state import FrameMasks, State

STEPS = 51  # of probabilities that are kept for the next round: a third of the bytes of 256


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

    The last `state` records `event` as it is, the ones before it record how far it came. A round
    whose objects are marked on all frames around `start` has no frame to compute and gives no
    state. Raises ValueError, at the first pull, if there is nothing to propagate from or to.
    """
    began = time.perf_counter()
    begin = first_frame(state, event)
    plans = _plans(state, begin) if event.span == "round" else None
    ahead, behind = _reach(len(state.engine.video), begin, event, plans)
    asked = event.done or (len(ahead), len(behind))
    if asked[0] > len(ahead) or asked[1] > len(behind):
        possible = (len(ahead), len(behind))
        raise ValueError(f"propagate says {event.done} frames done, only {possible} are there")
    source = Annotations(state, begin)
    objects = source.objects()
    engine, previous = state.engine, None if plans is None else Earlier(state, objects)
    frames, done, spent = dict(state.scene.frames), [0, 0], 0.0
    for side, targets in enumerate((ahead, behind)):
        if not asked[side]:
            continue
        answers = engine.propagator.propagate(
            engine.video, source, objects, targets, start=begin, previous=previous
        )
        with closing(cast(Any, answers)):
            for frame, probabilities in answers:
                before = frames.get(frame, _EMPTY)
                answer = _joined(before, frame, probabilities, objects, plans)
                frames[frame] = _renewed(before, *answer)
                done[side] += 1
                whole = event.done is None and done == list(asked)
                record = event if whole else replace(event, done=(done[0], done[1]))
                after = commit(state, record, replace(state.scene, frames=dict(frames)))
                spent += time.perf_counter() - began
                cost = state.statistics.plus({"propagate": spent}, propagated=sum(done))
                after = replace(after, statistics=cost)
                yield Advance(frame, sum(done), sum(asked), after)
                began = time.perf_counter()  # what the caller does meanwhile is not our time
                if done[side] == asked[side]:
                    break


def next_propagations(state: State, direction: str = "both") -> tuple[Propagate, ...]:
    """The events that carry on what was annotated since the last propagation.

    The first time it is the whole video, from the first annotated frame. Later it is a round from
    every frame that was annotated since, in the order of annotation: to the nearest frames that
    were annotated before; none if nothing was annotated.
    """
    if all(masks.propagated is None for masks in state.scene.frames.values()):
        return (Propagate(state.annotated[0] if state.annotated else None, direction),)
    done, _ = reachable(state.events)
    latest = takewhile(lambda event: not isinstance(event, Propagate), reversed(done))
    frames = dict.fromkeys(e.frame for e in latest if isinstance(e, Click | Scribble | Mask))
    return tuple(
        Propagate(frame, direction, span="round")
        for frame in reversed(frames)
        if frame in state.annotated
    )


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


def _plans(state: State, begin: int) -> dict[int, Round]:
    """The round of each object that is marked on frame `begin`."""
    marks, count = state.scene.frames[begin].marks, len(state.engine.video)
    if not marks:
        raise ValueError(
            f"a round starts from a frame that was marked: frame {begin} was not, "
            f"annotated frames are {list(state.annotated) or 'none yet'}"
        )
    where = {k: [f for f, m in state.scene.frames.items() if k in m.marks] for k in marks}
    return {k: plan_round(begin, where[k], count) for k in sorted(marks)}


def _reach(
    count: int, begin: int, event: Propagate, plans: Mapping[int, Round] | None
) -> tuple[Sequence[int], Sequence[int]]:
    """Frames to visit (forward, backward), nearest first."""
    limit = count if event.limit is None else event.limit
    first, last = max(begin - limit, 0), min(begin + limit, count - 1)
    if plans is not None:  # no further than some object changes
        changed = [np.flatnonzero(plan.weights) for plan in plans.values()]
        first = max(first, min(int(frames[0]) for frames in changed))
        last = min(last, max(int(frames[-1]) for frames in changed))
    ahead = range(begin + 1, last + 1) if event.direction != "backward" else range(0)
    behind = range(begin - 1, first - 1, -1) if event.direction != "forward" else range(0)
    if plans is None and not ahead and not behind:
        raise ValueError(
            f"nothing to propagate {event.direction} from frame {begin}: "
            f"the video has {count} frame{'s' * (count != 1)}"
        )
    return ahead, behind


def _joined(
    before: FrameMasks,
    frame: int,
    probabilities: np.ndarray,
    objects: tuple[int, ...],
    plans: Mapping[int, Round] | None,
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Probability `[H, W]` of the background of a frame, and of each object by its id.

    Without `plans` it is what the network said, `probabilities` `[H, W, K + 1]`; with them the
    objects of the round join what was there before, and the others stay as they were.
    """
    new = {k: probabilities[..., i] for i, k in enumerate(objects, 1)}
    if plans is None:
        return probabilities[..., 0], new
    # A marked object takes no part here, but what is its is not the background's.
    weights = {k: float(plan.weights[frame]) for k, plan in plans.items()}
    weights |= dict.fromkeys(before.marks, 1.0)
    earlier = {k: unpack_probability(packed) for k, packed in before.soft.items()}
    found = merge_round({k: new[k] for k in weights}, earlier, weights)
    return np.clip(1 - sum(found.values()), 0, 1), found


def _renewed(
    before: FrameMasks, background: np.ndarray, found: Mapping[int, np.ndarray]
) -> FrameMasks:
    """The record of a frame after propagation reached it; marks and hints stay as they are."""
    marks = before.marks
    labels = most_probable(np.stack([background, *found.values()], -1), tuple(found), fixed=marks)
    below = whole = pack_labels(labels)
    if marks:
        marked = {k: unpack_probability(mark.probability) for k, mark in marks.items()}
        maps = PromptMaps(before.hints, labels.shape)
        whole = pack_labels(compose(marked, maps, labels))
    free = {k: p for k, p in found.items() if k not in marks}
    old = None if before.propagated is None else unpack_labels(before.propagated)
    return replace(
        before,
        labels=whole,
        propagated=below,
        reached=tuple(free),
        soft={k: pack_probability(np.rint(p * STEPS) / STEPS) for k, p in free.items()},
        reliability=reliability(free, labels, old, before.reached),
    )


_EMPTY = FrameMasks(labels=b"")
