"""What users do: events (plain data) and simulated users."""

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
    Stroke,
    Undo,
    from_json,
    to_json,
)

__all__ = [
    "AddObject",
    "Clear",
    "Click",
    "Event",
    "Mask",
    "Propagate",
    "Redo",
    "RemoveObject",
    "Scribble",
    "Stroke",
    "Undo",
    "from_json",
    "to_json",
]
