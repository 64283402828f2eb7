"""A session on disk: the list of events as JSON. Loading is a replay."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ivs_jax.interaction.events import Event, from_json, to_json
from ivs_jax.io import atomic
from ivs_jax.session.engine import Engine
from ivs_jax.session.history import reachable, undo
from ivs_jax.session.state import State, start
from ivs_jax.session.step import step

FORMAT = "ivs_jax session"
VERSION = 1


def save(state: State, path: Path | str) -> None:
    """Writes the session atomically: the old file stays whole until the new one is.

    >>> from ivs_jax import Click, save, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> save(state, "session.json")  # the list of events as JSON
    """
    record = {
        "format": FORMAT,
        "version": VERSION,
        "video": {"path": str(state.engine.video.path), **_shape(state.engine)},
        "engine": state.engine.name,
        "events": [to_json(event) for event in state.events],
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load(
    path: Path | str, engine: Engine, *, progress: Callable[[int, int, int], None] | None = None
) -> State:
    """The saved session, by replay on `engine`.

    Args:
      path: file that `save` wrote.
      engine: the same video and networks as then; the video may have moved.
      progress: called as progress(done, total, frame) during each propagation.

    Raises:
      ValueError: not a whole session file, or made with another video or other networks.

    >>> from ivs_jax import Click, load, load_engine, open_video, save, step
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> save(state, "session.json")
    >>> engine = load_engine(open_video("clip.mp4"))
    >>> load("session.json", engine) == state
    True
    """
    record = _read(Path(path))
    here = {**_shape(engine), "engine": engine.name}
    for key, there in {**record["video"], "engine": record["engine"]}.items():
        if key != "path" and there != here.get(key):
            raise ValueError(
                f"{path}: session was made with {key} {there!r}, here it is {here.get(key)!r}"
            )
    events: list[Event] = []
    for index, item in enumerate(record["events"]):
        try:
            events.append(from_json(item))
        except ValueError as error:
            raise ValueError(f"{path}: event {index}: {error}") from None
    try:
        return replay(events, engine, progress=progress)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def replay(
    events: Sequence[Event],
    engine: Engine,
    *,
    progress: Callable[[int, int, int], None] | None = None,
) -> State:
    """The state to which these events lead; changes that can never come back are not computed.

    >>> from ivs_jax import Click, Propagate, replay
    >>> state = replay([Click(frame=0, object=1, x=28, y=12), Propagate(limit=2)], engine)
    >>> sorted(state.scene.frames)
    [0, 1, 2]
    >>> replay(state.events, engine) == state
    True
    """
    done, undone = reachable(events)
    state = start(engine)
    for event in (*done, *undone):
        state = step(state, event, progress=progress)
    for _ in undone:
        state = undo(state)
    return replace(state, events=tuple(events))


def _shape(engine: Engine) -> dict[str, int]:
    height, width = engine.video.size
    return {"frames": len(engine.video), "height": int(height), "width": int(width)}


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such session file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a whole session file ({error})") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path}: not a session file, expected format {FORMAT!r}")
    if record.get("version") != VERSION:
        found = record.get("version")
        raise ValueError(f"{path}: session file version {found!r}, expected {VERSION}")
    kinds = {"video": dict, "engine": str, "events": list}
    for key, kind in kinds.items():
        if not isinstance(record.get(key), kind):
            raise ValueError(f"{path}: session file has no valid {key!r}")
    missing = {"frames", "height", "width"} - set(record["video"])
    if missing:
        raise ValueError(f"{path}: session file says no video {sorted(missing)[0]!r}")
    return record
