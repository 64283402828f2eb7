"""Marks: what the user's clicks, strokes and masks make of a frame, and how they are taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ivs_jax.interaction.events import Clear, Click, Mask, RemoveObject, Scribble
from ivs_jax.interaction.strokes import NOTHING
from ivs_jax.io import (
    decode_rle,
    pack_labels,
    pack_probability,
    unpack_labels,
    unpack_probability,
)
from ivs_jax.session.correction import anchor, corrected
from ivs_jax.session.hints import PromptMaps, without
from ivs_jax.session.merge import compose
from ivs_jax.session.state import FrameMasks, Mark, Provenance, Scene, State, Statistics
from ivs_jax.types import MAX_OBJECT_ID, Interaction

Marked = tuple[Scene, Statistics]


def clicked(state: State, event: Click) -> Marked:
    """One object of a frame is asked for anew."""
    _check_frame(state, event.frame)
    check_object(event.object)
    check_inside(event.x, event.y, state.engine.video.size)
    return _asked(state, event.frame, [event.object], _maps(state, event))


def scribbled(state: State, event: Scribble) -> Marked:
    """The objects with a stroke of their own, and those that another stroke hits, once each."""
    _check_frame(state, event.frame)
    size = state.engine.video.size
    for stroke in event.strokes:
        if stroke.object != 0:
            check_object(stroke.object)
        for x, y in stroke.path:
            check_inside(x, y, size, "stroke point")
    maps = _maps(state, event)
    lines, labels = maps.last_strokes(), state.labels(event.frame)
    hit = np.unique(labels[(lines != NOTHING) & (lines != labels) & (labels != 0)]).tolist()
    own = dict.fromkeys(stroke.object for stroke in event.strokes if stroke.object)
    if not own and not hit and not _masks(state, event.frame).marks:
        raise ValueError(
            f"scribble on frame {event.frame} has background strokes alone and they touch no object"
        )
    concerned = [number for number in hit if number not in own] + list(own)
    return _asked(state, event.frame, concerned, maps)


def given(state: State, event: Mask) -> Marked:
    """The mask takes the place of all that was said about the object on the frame."""
    _check_frame(state, event.frame)
    check_object(event.object)
    size = state.engine.video.size
    if tuple(event.rle["size"]) != tuple(size):
        raise ValueError(f"mask is {event.rle['size']} (H, W), the video is {list(size)}")
    mark = Mark(pack_probability(decode_rle(dict(event.rle)).astype(np.float32)), "user")
    maps = PromptMaps(without(_masks(state, event.frame).hints, event.object), size)
    scene = _with(state, event.frame, {event.object: mark}, maps)
    return scene, state.statistics


def cleared(state: State, event: Clear) -> Scene:
    """The scene without one mark; what propagation said about the object there shows again."""
    _check_frame(state, event.frame)
    check_object(event.object)
    masks = _masks(state, event.frame)
    if event.object not in masks.marks:
        raise ValueError(
            f"object {event.object} has no clicks, strokes or mask on frame {event.frame}"
        )
    masks = _unmarked(masks, event.object)
    return _replaced(state, state.scene.objects, {event.frame: masks})


def removed(state: State, event: RemoveObject) -> Scene:
    """The scene without an object; what it covered on marked frames shows again."""
    number = event.object
    if number not in state.scene.objects:
        raise ValueError(f"no object {number}, objects are {list(state.objects) or 'none yet'}")
    objects = {k: name for k, name in state.scene.objects.items() if k != number}
    changed = {
        frame: _unpropagated(_unmarked(masks, number), number)
        for frame, masks in state.scene.frames.items()
        if number in masks.marks or number in masks.reached
    }
    return _replaced(state, objects, changed)


def check_inside(x: float, y: float, size: tuple[int, ...], what: str = "click") -> None:
    """Raises ValueError for a point outside a frame of `size` (H, W)."""
    height, width = size[:2]
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise ValueError(
            f"{what} at x {x:g}, y {y:g} is outside the frame, "
            f"which is {width} wide and {height} high"
        )


def check_object(number: int) -> None:
    """Raises ValueError for what cannot be the id of an object."""
    if not 1 <= number <= MAX_OBJECT_ID:
        raise ValueError(f"object id must be 1..{MAX_OBJECT_ID}, got {number}")


def _check_frame(state: State, frame: int) -> None:
    count = len(state.engine.video)
    if not 0 <= frame < count:
        raise ValueError(f"frame {frame} is outside the video, whose frames are 0..{count - 1}")


def _maps(state: State, event: Click | Scribble) -> PromptMaps:
    """The prompts on the frame of an event, that event the last one."""
    return PromptMaps((*_masks(state, event.frame).hints, event), _size(state))


def _asked(state: State, frame: int, objects: Sequence[int], maps: PromptMaps) -> Marked:
    """Every one of `objects` is asked for once, from the masks before the event."""
    engine, statistics, marks = state.engine, state.statistics, {}
    image = engine.video[frame]
    source = _masks(state, frame).provenance()
    for number in objects:
        previous, own = _previous(state, frame, number), source.get(number, "user") == "user"
        if own or previous is None:
            answer, satisfied = _answer(state, image, frame, number, maps, previous)
            probability = np.asarray(answer.probability, np.float32)
        else:
            prompted = maps.prompt_map(number)
            middle = anchor(previous, prompted)
            answer, satisfied = _answer(state, image, frame, number, maps, previous, middle)
            probability = corrected(np.asarray(answer.probability, np.float32), previous, prompted)
        kind: Provenance = "user" if own else "corrected"
        marks[number] = Mark(pack_probability(probability), kind, satisfied)
        statistics = statistics.plus(answer.seconds, evaluations=int(answer.evaluations))
    return _with(state, frame, marks, maps), statistics


def _answer(
    state: State,
    image: np.ndarray,
    frame: int,
    number: int,
    maps: PromptMaps,
    previous: np.ndarray | None,
    middle: tuple[int, int] | None = None,
) -> tuple[Interaction, tuple[bool, ...]]:
    """The interactor's answer, and whether it agrees with each of the object's clicks."""
    mask = state.labels(frame) == number
    mask = mask if previous is None else mask | (previous > 0.5)
    given = maps.interactor_input(number, mask, anchor=middle)
    answer = state.engine.interactor.predict(
        image, given.clicks, previous, scribbles=given.scribbles
    )
    agrees = np.asarray(answer.satisfied)[: len(given.clicked)]
    return answer, tuple(agrees[list(given.clicked)].astype(bool).tolist())


def _previous(state: State, frame: int, number: int) -> np.ndarray | None:
    """What to start from; None where there was no mask, or propagation lost the object."""
    found = state.probability(frame, number)
    if found is None or number in state.scene.frames[frame].marks:
        return found if found is not None and found.any() else None
    return found if (state.labels(frame) == number).any() else None


def _masks(state: State, frame: int) -> FrameMasks:
    return state.scene.frames.get(frame, FrameMasks(labels=b""))


def _with(state: State, frame: int, marks: Mapping[int, Mark], maps: PromptMaps) -> Scene:
    """The scene with more marks; those made last stand last."""
    masks = _masks(state, frame)
    kept = {k: mark for k, mark in masks.marks.items() if k not in marks}
    masks = replace(masks, marks={**kept, **marks}, hints=maps.prompts)
    objects = {**dict.fromkeys(marks, ""), **state.scene.objects}
    scene = _replaced(state, objects, {frame: masks}, maps)
    return replace(scene, rounds=(*(f for f in scene.rounds if f != frame), frame))


def _replaced(
    state: State,
    objects: Mapping[int, str],
    changed: Mapping[int, FrameMasks],
    maps: PromptMaps | None = None,
) -> Scene:
    """The scene with some frames changed; those on which nothing is left are dropped.

    `maps` are the prompts of the one changed frame where the caller has them.
    """
    frames = dict(state.scene.frames)
    for frame, masks in changed.items():
        frames.pop(frame, None)
        if masks.marks or masks.reached:
            frames[frame] = _composed(masks, maps or PromptMaps(masks.hints, _size(state)))
    rounds = tuple(f for f in state.scene.rounds if f in frames and frames[f].marks)
    return Scene(objects, frames, rounds)


def _size(state: State) -> tuple[int, int]:
    return state.engine.video.size


def _composed(masks: FrameMasks, maps: PromptMaps) -> FrameMasks:
    """The same record with its labels made anew from marks, prompts and propagation."""
    if not masks.marks and masks.propagated is not None:
        return replace(masks, labels=masks.propagated)
    marked = {k: unpack_probability(mark.probability) for k, mark in masks.marks.items()}
    below = None if masks.propagated is None else unpack_labels(masks.propagated)
    return replace(masks, labels=pack_labels(compose(marked, maps, below)))


def _unmarked(masks: FrameMasks, number: int) -> FrameMasks:
    """Without one mark and its hints; background strokes go with the last mark."""
    marks = {k: mark for k, mark in masks.marks.items() if k != number}
    return replace(masks, marks=marks, hints=without(masks.hints, number) if marks else ())


def _unpropagated(masks: FrameMasks, number: int) -> FrameMasks:
    """Without what propagation said about one object."""
    if masks.propagated is None:
        return masks
    labels = unpack_labels(masks.propagated).copy()
    labels[labels == number] = 0
    return replace(
        masks,
        propagated=pack_labels(labels),
        reached=tuple(k for k in masks.reached if k != number),
        soft={k: packed for k, packed in masks.soft.items() if k != number},
    )
