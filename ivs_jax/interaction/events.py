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
SPANS = ("video", "round")


@dataclass(frozen=True)
class Click:
    """One click. An object id that is new is added by its first click.

    Attributes:
      frame: frame number, from 0.
      object: object id, 1..254.
      x, y: position in pixels of the frame; pixel centres are integers.
      label: 1 = this is the object, 0 = this is not the object.

    >>> from ivs_jax import Click, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> state = step(state, Click(frame=0, object=1, x=28, y=44, label=0))
    >>> int(state.labels(0)[12, 28]), int(state.labels(0)[44, 28])
    (1, 0)
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
class Stroke:
    """A line drawn through points.

    Attributes:
      object: object id, 1..254; 0 = background: none of the objects is here.
      path: the points `((x, y), ...)` in pixels of the frame, at least one; pixel centres are
        integers. Any sequence of pairs, or an array `[n, 2]`, becomes such a tuple.

    >>> from ivs_jax import Stroke
    >>> Stroke(1, np.array([[20, 12], [34, 14]]))
    Stroke(object=1, path=((20.0, 12.0), (34.0, 14.0)))
    """

    object: int
    path: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _integers(self, "object")
        object.__setattr__(self, "path", _path(self.path))


@dataclass(frozen=True)
class Scribble:
    """Strokes drawn at once on one frame. Ids that are new are added.

    A stroke of one object says of every other object that it is not there.

    Attributes:
      frame: frame number, from 0.
      strokes: at least one, in the order of drawing.

    >>> from ivs_jax import Scribble, Stroke, step
    >>> on_it, off_it = Stroke(1, [[20, 12], [34, 14]]), Stroke(0, [[60, 10], [90, 30]])
    >>> state = step(state, Scribble(frame=0, strokes=(on_it, off_it)))
    >>> state.objects
    (1,)
    """

    frame: int
    strokes: tuple[Stroke, ...]

    def __post_init__(self) -> None:
        _integers(self, "frame")
        strokes = tuple(self.strokes) if isinstance(self.strokes, list | tuple) else ()
        if not strokes or not all(isinstance(stroke, Stroke) for stroke in strokes):
            found = str(self.strokes)[:80]
            raise ValueError(f"scribble strokes must be one or more strokes, got {found}")
        object.__setattr__(self, "strokes", strokes)


@dataclass(frozen=True)
class Mask:
    """A whole mask of one object on one frame; replaces its earlier clicks, strokes and masks.

    What the user clicked or drew there for something else stays that: the mask has holes there.

    Attributes:
      frame: frame number, from 0.
      object: object id, 1..254; a new id is added.
      rle: COCO run-length code, `{"size": [H, W], "counts": str}` (`ivs_jax.encode_rle`).

    >>> from ivs_jax import Mask, encode_rle, step
    >>> mask = np.zeros((96, 160), bool)
    >>> mask[4:28, 16:40] = True
    >>> state = step(state, Mask(frame=0, object=1, rle=encode_rle(mask)))
    >>> int((state.labels(0) == 1).sum())
    576
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
      limit: at most so many frames in each direction; None = to the end of the span.
      done: frames finished (forward, backward) when the run was cancelled. `session.step` writes
        it, so that a replay stops where the user stopped; None = everything was done.
      span: "video" = to its ends; "round" = for each object marked on `start` to the nearest other
        frames where it was marked, joined with what was there before by distance (IPN).

    >>> from ivs_jax import Click, Propagate, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> state = step(state, Propagate())  # from the first annotated frame to the end
    >>> state = step(state, Click(frame=5, object=1, x=70, y=60, label=0))  # a correction
    >>> state = step(state, Propagate(start=5, direction="both", span="round"))
    >>> state.provenance(7)
    {1: 'propagated'}
    """

    start: int | None = None
    direction: str = "forward"
    limit: int | None = None
    done: tuple[int, int] | None = None
    span: str = "video"

    def __post_init__(self) -> None:
        if self.span not in SPANS:
            raise ValueError(f"span must be one of {', '.join(SPANS)}, got {self.span!r}")
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
    """Adds an object before it has any mask, or names one that exists.

    >>> from ivs_jax import AddObject, step
    >>> state = step(state, AddObject(1, name="cat"))
    >>> state.scene.objects
    {1: 'cat'}
    """

    object: int
    name: str = ""

    def __post_init__(self) -> None:
        _integers(self, "object")
        if not isinstance(self.name, str):
            raise ValueError(f"object name must be text, got {self.name!r}")


@dataclass(frozen=True)
class RemoveObject:
    """Removes an object, its hints and its pixels on every frame; the id may be used again.

    >>> from ivs_jax import Click, RemoveObject, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> step(state, RemoveObject(1)).objects
    ()
    """

    object: int

    def __post_init__(self) -> None:
        _integers(self, "object")


@dataclass(frozen=True)
class Clear:
    """Takes back clicks, strokes and mask of one object on one frame, as if never marked there.

    >>> from ivs_jax import Clear, Click, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> bool(step(state, Clear(frame=0, object=1)).labels(0).any())
    False
    """

    frame: int
    object: int

    def __post_init__(self) -> None:
        _integers(self, "frame", "object")


@dataclass(frozen=True)
class Undo:
    """Takes back the last event that is not itself an undo or a redo.

    >>> from ivs_jax import Click, Undo, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> step(state, Undo()).objects
    ()
    """


@dataclass(frozen=True)
class Redo:
    """Brings back what the last undo took; only while nothing else was done since.

    >>> from ivs_jax import Click, Redo, Undo, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> step(step(state, Undo()), Redo()).objects
    (1,)
    """


Event = Click | Scribble | Mask | Propagate | AddObject | RemoveObject | Clear | Undo | Redo

_KINDS: dict[str, type] = {
    "click": Click,
    "scribble": Scribble,
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
    return {"kind": _NAMES[type(event)], **{name: _plain(v) for name, v in fields.items()}}


def from_json(record: Mapping[str, Any]) -> Event:
    """Reads one event. Raises ValueError for unknown kinds, missing, unknown or wrong fields."""
    if not isinstance(record, Mapping) or "kind" not in record:
        raise ValueError(f"event must be an object with a 'kind', got {str(record)[:80]}")
    name = record["kind"]
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"unknown event kind {name!r}, expected one of {', '.join(_KINDS)}")
    given = {key: value for key, value in record.items() if key != "kind"}
    if kind is Scribble and isinstance(given.get("strokes"), list):
        given["strokes"] = [_built(Stroke, "stroke", stroke) for stroke in given["strokes"]]
    event: Event = _built(kind, f"event {name!r}", given)
    return event


def _built(kind: type, what: str, given: Any) -> Any:
    """A record of `kind` from the fields of a JSON object; `what` names it in errors."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} must be an object with fields, got {str(given)[:80]}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(given) - set(fields))
    required = [key for key, f in fields.items() if f.default is dataclasses.MISSING]
    missing = [key for key in required if key not in given]
    if unknown or missing:
        problem = f"unknown field {unknown[0]!r}" if unknown else f"no field {missing[0]!r}"
        raise ValueError(f"{what} has {problem}, its fields are {', '.join(fields)}")
    return kind(**given)


def _plain(value: Any) -> Any:
    """Tuples as lists and strokes as objects."""
    if isinstance(value, Stroke):
        return {"object": value.object, "path": _plain(value.path)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


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


def _path(points: Any) -> tuple[tuple[float, float], ...]:
    """Points as plain pairs of finite numbers, or ValueError."""
    try:
        pairs = tuple((float(x), float(y)) for x, y in points)
    except (TypeError, ValueError):
        found = str(points)[:80]
        raise ValueError(f"stroke path must be points [[x, y], ...], got {found}") from None
    if not pairs:
        raise ValueError("stroke path must have a point or more, got none")
    for pair in pairs:
        if not all(map(math.isfinite, pair)):
            raise ValueError(f"stroke path must be finite, got {list(pair)}")
    return pairs
