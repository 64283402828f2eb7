"""What a user can do, as plain data: an append-only list of these is a whole session.

Events know no network and no image; `ivs_jax.session.step` gives them their meaning. Their JSON
form is one flat object per event, `{"kind": "click", "frame": 0, ...}`.
"""

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIRECTIONS = ("forward", "backward", "both")


@dataclass(frozen=True)
class Click:
    """One click. An object id that is new is added by its first click.

    Attributes:
      frame: frame number, from 0.
      object: object id, 1..254.
      x, y: position in pixels of the frame; pixel centres are integers.
      label: 1 = this is the object, 0 = this is not the object.
    """

    frame: int
    object: int
    x: float
    y: float
    label: int = 1

    def __post_init__(self) -> None:
        _integers(self, "frame", "object", "label")
        for name in ("x", "y"):
            object.__setattr__(self, name, _number(self, name))
        if self.label not in (0, 1):
            raise ValueError(f"click label must be 1 (object) or 0 (background), got {self.label}")


@dataclass(frozen=True)
class Mask:
    """A whole mask of one object on one frame; replaces its earlier clicks and masks there.

    Attributes:
      frame: frame number, from 0.
      object: object id, 1..254; a new id is added.
      rle: COCO run-length code, `{"size": [H, W], "counts": str}` (`io.encode_rle`).
    """

    frame: int
    object: int
    rle: Mapping[str, Any]

    def __post_init__(self) -> None:
        _integers(self, "frame", "object")
        found = sorted(self.rle) if isinstance(self.rle, Mapping) else type(self.rle).__name__
        if found != ["counts", "size"] or not isinstance(self.rle["counts"], str):
            raise ValueError(f"mask rle must be {{'size': [H, W], 'counts': str}}, got {found}")
        try:
            height, width = (operator.index(side) for side in self.rle["size"])
        except (TypeError, ValueError):
            raise ValueError(f"mask rle size must be [H, W], got {self.rle['size']!r}") from None
        object.__setattr__(self, "rle", {"size": [height, width], "counts": self.rle["counts"]})


@dataclass(frozen=True)
class Propagate:
    """Carries the masks of the annotated frames to the other frames.

    Attributes:
      start: frame to start from, one that has masks; None = the first annotated frame.
      direction: "forward", "backward" or "both".
      limit: at most so many frames in each direction; None = to the end of the video.
      done: frames finished (forward, backward) when the run was cancelled. `session.step` writes
        it, so that a replay stops where the user stopped; None = everything was done.
    """

    start: int | None = None
    direction: str = "forward"
    limit: int | None = None
    done: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _integers(self, *(name for name in ("start", "limit") if getattr(self, name) is not None))
        if self.direction not in DIRECTIONS:
            expected = ", ".join(DIRECTIONS)
            raise ValueError(f"direction must be one of {expected}, got {self.direction!r}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"propagate limit must be at least 1 frame, got {self.limit}")
        if self.done is not None:
            try:
                ahead, behind = (operator.index(count) for count in self.done)
            except (TypeError, ValueError):
                ahead, behind = -1, -1
            if min(ahead, behind) < 0 or ahead + behind == 0:
                raise ValueError(f"propagate done must be (forward, backward), got {self.done!r}")
            object.__setattr__(self, "done", (ahead, behind))


@dataclass(frozen=True)
class AddObject:
    """Adds an object before it has any mask, or names one that exists."""

    object: int
    name: str = ""

    def __post_init__(self) -> None:
        _integers(self, "object")
        if not isinstance(self.name, str):
            raise ValueError(f"object name must be text, got {self.name!r}")


@dataclass(frozen=True)
class RemoveObject:
    """Removes an object, its clicks and its pixels on every frame; the id may be used again."""

    object: int

    def __post_init__(self) -> None:
        _integers(self, "object")


@dataclass(frozen=True)
class Clear:
    """Takes back the clicks and the mask of one object on one frame, as if never marked there."""

    frame: int
    object: int

    def __post_init__(self) -> None:
        _integers(self, "frame", "object")


@dataclass(frozen=True)
class Undo:
    """Takes back the last event that is not itself an undo or a redo."""


@dataclass(frozen=True)
class Redo:
    """Brings back what the last undo took; only while nothing else was done since."""


Event = Click | Mask | Propagate | AddObject | RemoveObject | Clear | Undo | Redo

_KINDS: dict[str, type] = {
    "click": Click,
    "mask": Mask,
    "propagate": Propagate,
    "add_object": AddObject,
    "remove_object": RemoveObject,
    "clear": Clear,
    "undo": Undo,
    "redo": Redo,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(event: Event) -> dict[str, Any]:
    """The event as a dict of JSON types; `from_json` is its inverse."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    fields = {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}
    return {"kind": _NAMES[type(event)], **fields}


def from_json(record: Mapping[str, Any]) -> Event:
    """Reads one event. Raises ValueError for unknown kinds, missing, unknown or wrong fields."""
    if not isinstance(record, Mapping) or "kind" not in record:
        raise ValueError(f"event must be an object with a 'kind', got {str(record)[:80]}")
    name = record["kind"]
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"unknown event kind {name!r}, expected one of {', '.join(_KINDS)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given = {key: value for key, value in record.items() if key != "kind"}
    unknown = sorted(set(given) - set(fields))
    required = [key for key, f in fields.items() if f.default is dataclasses.MISSING]
    missing = [key for key in required if key not in given]
    if unknown or missing:
        problem = f"unknown field {unknown[0]!r}" if unknown else f"no field {missing[0]!r}"
        raise ValueError(f"event {name!r} has {problem}, its fields are {', '.join(fields)}")
    return kind(**given)


def _integers(event: Any, *names: str) -> None:
    """Turns the named fields into plain ints (NumPy integers come from users), or refuses."""
    for name in names:
        value = getattr(event, name)
        try:
            if isinstance(value, bool):
                raise TypeError
            object.__setattr__(event, name, operator.index(value))
        except TypeError:
            kind = type(event).__name__
            raise ValueError(f"{kind} {name} must be a whole number, got {value!r}") from None


def _number(event: Any, name: str) -> float:
    value = getattr(event, name)
    kind = type(event).__name__
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{kind} {name} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{kind} {name} must be finite, got {number}")
    return number
