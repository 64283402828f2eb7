"""Undo and redo: earlier scenes are kept and shared, so going back computes nothing."""

from collections.abc import Sequence
from dataclasses import replace

from ivs_jax.interaction.events import Event, Redo, Undo
from ivs_jax.session.state import Scene, State


def commit(state: State, event: Event, scene: Scene) -> State:
    """`state` after `event` led to `scene`; what could be redone is gone."""
    return replace(
        state,
        scene=scene,
        events=(*state.events, event),
        past=(*state.past, state.scene),
        future=(),
    )


def undo(state: State) -> State:
    """Takes back the last change. Raises ValueError if there is none."""
    if not state.past:
        raise ValueError("nothing to undo: no change was made yet")
    return replace(
        state,
        scene=state.past[-1],
        events=(*state.events, Undo()),
        past=state.past[:-1],
        future=(*state.future, state.scene),
    )


def redo(state: State) -> State:
    """Brings back what undo took last. Raises ValueError if there is nothing."""
    if not state.future:
        raise ValueError("nothing to redo: the last event was not an undo")
    return replace(
        state,
        scene=state.future[-1],
        events=(*state.events, Redo()),
        past=(*state.past, state.scene),
        future=state.future[:-1],
    )


def reachable(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """The changes that still matter: (in effect, waiting to be redone), both in order of time.

    Changes that were undone and then overtaken by others can never come back, so a replay need
    not compute them. Raises ValueError for an undo or redo of nothing.
    """
    done: list[Event] = []
    undone: list[Event] = []
    for index, event in enumerate(events):
        source = done if isinstance(event, Undo) else undone
        if isinstance(event, Undo | Redo) and not source:
            raise ValueError(f"event {index} takes back or repeats a change that is not there")
        if isinstance(event, Undo):
            undone.append(done.pop())
        elif isinstance(event, Redo):
            done.append(undone.pop())
        else:
            done.append(event)
            undone.clear()
    return done, undone[::-1]
