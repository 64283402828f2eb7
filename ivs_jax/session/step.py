"""The one verb of a session: `step(state, event) -> state`.

Pure: the state that comes in is never changed, so whoever holds it can go back to it. Every event
that cannot be done raises ValueError and leaves nothing behind.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from ivs_jax.interaction.events import (
    AddObject,
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Scribble,
    Undo,
)
from ivs_jax.session.history import commit, redo, undo
from ivs_jax.session.mark import check_object, cleared, clicked, given, removed, scribbled
from ivs_jax.session.run import propagated
from ivs_jax.session.state import Scene, State, Statistics

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
      event: what the user did. Clicks, strokes and masks of an unknown object id add it.
      progress: called as progress(done, total, frame) after every propagated frame.
      cancel: asked before every frame; True stops a propagation. What was done is kept and the
        event is recorded as far as it came (`Propagate.done`), so a replay gives the same state.

    Raises:
      ValueError: the event does not fit the video or the state.

    >>> from ivs_jax import Click, Propagate, start, step
    >>> before = start(engine)
    >>> after = step(before, Click(frame=0, object=1, x=28, y=12))
    >>> before.objects, after.objects  # a state never changes
    ((), (1,))
    >>> def report(done, total, frame):
    ...     print(f"{done} of {total}: frame {frame}")
    >>> after = step(after, Propagate(limit=2), progress=report)
    1 of 2: frame 1
    2 of 2: frame 2
    """
    match event:
        case Click():
            return _marked(state, event, *clicked(state, event))
        case Scribble():
            return _marked(state, event, *scribbled(state, event))
        case Mask():
            return _marked(state, event, *given(state, event))
        case Propagate():
            return _propagate(state, event, progress, cancel)
        case AddObject():
            check_object(event.object)
            named = {**state.scene.objects, event.object: event.name}
            return commit(state, event, replace(state.scene, objects=named))
        case RemoveObject():
            return commit(state, event, removed(state, event))
        case Clear():
            return commit(state, event, cleared(state, event))
        case Undo():
            return undo(state)
        case Redo():
            return redo(state)
    raise ValueError(f"unknown event {event!r}")


def _marked(state: State, event: Event, scene: Scene, statistics: Statistics) -> State:
    return replace(commit(state, event, scene), statistics=statistics)


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
