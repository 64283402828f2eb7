"""The one verb of a session: `step(state, event) -> state`.

Pure: the state that comes in is never changed, so whoever holds it can go back to it. Every event
that cannot be done raises ValueError and leaves nothing behind.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import numpy as np

from ivs_jax.interaction.events import (
    AddObject,
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Undo,
)
from ivs_jax.io import (
    decode_rle,
    pack_labels,
    pack_probability,
    unpack_labels,
    unpack_probability,
)
from ivs_jax.session.history import commit, redo, undo
from ivs_jax.session.merge import compose
from ivs_jax.session.run import propagated
from ivs_jax.session.state import FrameMasks, Mark, Scene, State
from ivs_jax.types import MAX_OBJECT_ID, make_clicks

Progress = Callable[[int, int, int], None]


def step(
    state: State,
    event: Event,
    *,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> State:
    """The state after one event.

    Args:
      state: stays as it is.
      event: what the user did. Clicks and masks of an unknown object id add the object.
      progress: called as progress(done, total, frame) after every propagated frame.
      cancel: asked before every frame; True stops a propagation. What was done is kept and the
        event is recorded as far as it came (`Propagate.done`), so a replay gives the same state.

    Raises:
      ValueError: the event does not fit the video or the state.
    """
    match event:
        case Click():
            return _click(state, event)
        case Mask():
            return _mask(state, event)
        case Propagate():
            return _propagate(state, event, progress, cancel)
        case AddObject():
            _check_object(event.object)
            return commit(state, event, _named(state.scene, event.object, event.name))
        case RemoveObject():
            return commit(state, event, _removed(state, event.object))
        case Clear():
            return commit(state, event, _cleared(state, event))
        case Undo():
            return undo(state)
        case Redo():
            return redo(state)
    raise ValueError(f"unknown event {event!r}")


def check_inside(click: Click, size: tuple[int, ...]) -> None:
    """Raises ValueError for a click outside a frame of `size` (H, W)."""
    height, width = size
    if not (-0.5 <= click.x <= width - 0.5 and -0.5 <= click.y <= height - 0.5):
        raise ValueError(
            f"click at x {click.x:g}, y {click.y:g} is outside the frame, "
            f"which is {width} wide and {height} high"
        )


def click_capacity(count: int) -> int:
    """32, 64, ...: a click seldom changes the shape that networks are compiled for."""
    return max(32, 1 << (count - 1).bit_length())


def _click(state: State, event: Click) -> State:
    _check_place(state, event.frame, event.object)
    size = state.engine.video.size
    check_inside(event, size)
    masks = state.scene.frames.get(event.frame, _EMPTY)
    clicks = (*masks.clicks, event)
    own = [click for click in clicks if click.object == event.object]
    previous = state.probability(event.frame, event.object)
    if previous is not None and not previous.any():
        previous = None  # propagation lost the object here: there is nothing to start from
    answer = state.engine.interactor.predict(
        state.engine.video[event.frame],
        make_clicks(
            [(c.x, c.y) for c in own], [c.label for c in own], capacity=click_capacity(len(own))
        ),
        previous,
    )
    was = masks.provenance().get(event.object, "user")
    mark = Mark(
        pack_probability(np.asarray(answer.probability, np.float32)),
        "user" if was == "user" else "corrected",
        tuple(bool(ok) for ok in np.asarray(answer.satisfied)[: len(own)]),
    )
    scene = _marked(state.scene, size, event.frame, event.object, mark, clicks)
    statistics = state.statistics.plus(answer.seconds, evaluations=int(answer.evaluations))
    return replace(commit(state, event, scene), statistics=statistics)


def _mask(state: State, event: Mask) -> State:
    _check_place(state, event.frame, event.object)
    size = state.engine.video.size
    if tuple(event.rle["size"]) != tuple(size):
        raise ValueError(f"mask is {event.rle['size']} (H, W), the video is {list(size)}")
    mark = Mark(pack_probability(decode_rle(dict(event.rle)).astype(np.float32)), "user")
    before = state.scene.frames.get(event.frame, _EMPTY).clicks
    clicks = tuple(click for click in before if click.object != event.object)
    scene = _marked(state.scene, size, event.frame, event.object, mark, clicks)
    return commit(state, event, scene)


def _propagate(
    state: State,
    event: Propagate,
    progress: Progress | None,
    cancel: Callable[[], bool] | None,
) -> State:
    after = state
    with closing(propagated(state, event)) as advances:
        while not (cancel and cancel()):
            advance = next(advances, None)
            if advance is None:
                break
            after = advance.state
            if progress:
                progress(advance.done, advance.total, advance.frame)
    return after


def _removed(state: State, number: int) -> Scene:
    """The scene without an object; what it covered on marked frames shows again."""
    scene = state.scene
    if number not in scene.objects:
        raise ValueError(f"no object {number}, objects are {list(state.objects) or 'none yet'}")
    frames = dict(scene.frames)
    for frame, masks in scene.frames.items():
        if number in masks.marks or number in masks.reached:
            _put(frames, frame, _without(masks, state.engine.video.size, number))
    return Scene({k: name for k, name in scene.objects.items() if k != number}, frames)


def _cleared(state: State, event: Clear) -> Scene:
    """The scene without one mark; what propagation said about the object there shows again."""
    _check_place(state, event.frame, event.object)
    masks = state.scene.frames.get(event.frame, _EMPTY)
    if event.object not in masks.marks:
        raise ValueError(f"object {event.object} has no clicks or mask on frame {event.frame}")
    masks = replace(
        masks,
        marks={k: mark for k, mark in masks.marks.items() if k != event.object},
        clicks=tuple(click for click in masks.clicks if click.object != event.object),
    )
    frames = dict(state.scene.frames)
    _put(frames, event.frame, _composed(masks, state.engine.video.size))
    return Scene(state.scene.objects, frames)


def _without(masks: FrameMasks, size: tuple[int, int], number: int) -> FrameMasks:
    propagated = masks.propagated
    if propagated is not None:
        labels = unpack_labels(propagated).copy()
        labels[labels == number] = 0
        propagated = pack_labels(labels)
    masks = FrameMasks(
        masks.labels,
        {k: mark for k, mark in masks.marks.items() if k != number},
        tuple(click for click in masks.clicks if click.object != number),
        propagated,
        tuple(k for k in masks.reached if k != number),
    )
    return _composed(masks, size)


def _marked(
    scene: Scene,
    size: tuple[int, int],
    frame: int,
    number: int,
    mark: Mark,
    clicks: tuple[Click, ...],
) -> Scene:
    """The scene with one more mark; the mark made last stands last."""
    masks = scene.frames.get(frame, _EMPTY)
    marks = {k: old for k, old in masks.marks.items() if k != number} | {number: mark}
    masks = _composed(replace(masks, marks=marks, clicks=clicks), size)
    objects = scene.objects if number in scene.objects else {**scene.objects, number: ""}
    return Scene(objects, {**scene.frames, frame: masks})


def _composed(masks: FrameMasks, size: tuple[int, int]) -> FrameMasks:
    """The same record with its labels made anew from marks, clicks and propagation."""
    if not masks.marks and masks.propagated is not None:
        return replace(masks, labels=masks.propagated)
    marked = {k: unpack_probability(mark.probability) for k, mark in masks.marks.items()}
    below = None if masks.propagated is None else unpack_labels(masks.propagated)
    return replace(masks, labels=pack_labels(compose(size, marked, masks.clicks, below)))


def _put(frames: dict[int, FrameMasks], frame: int, masks: FrameMasks) -> None:
    """Stores a record, or drops the frame if nothing is left on it."""
    if masks.marks or masks.reached:
        frames[frame] = masks
    else:
        del frames[frame]


def _named(scene: Scene, number: int, name: str) -> Scene:
    return Scene({**scene.objects, number: name}, scene.frames)


def _check_place(state: State, frame: int, number: int) -> None:
    count = len(state.engine.video)
    if not 0 <= frame < count:
        raise ValueError(f"frame {frame} is outside the video, whose frames are 0..{count - 1}")
    _check_object(number)


def _check_object(number: int) -> None:
    if not 1 <= number <= MAX_OBJECT_ID:
        raise ValueError(f"object id must be 1..{MAX_OBJECT_ID}, got {number}")


_EMPTY = FrameMasks(labels=b"")
