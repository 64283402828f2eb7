"""Scribble files of the DAVIS interactive benchmark (experiments/papers/ipn.md, section 5).

One JSON object: `{"sequence": NAME, "scribbles": [strokes of frame 0, strokes of frame 1, ...]}`. A
stroke is `{"path": [[x, y], ...], "object_id": 0..254}` with x and y in [0, 1]; id 0 is background.
Times of drawing (`start_time`, `end_time`) may stand beside them and are not used.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ivs_jax.interaction.events import Scribble, Stroke
from ivs_jax.interaction.strokes import pixels
from ivs_jax.types import MAX_OBJECT_ID

_FIELDS = {"path", "object_id"}
_TIMES = {"start_time", "end_time"}


def read_scribbles(path: Path | str, size: tuple[int, int], count: int) -> list[Scribble]:
    """The strokes of a file, one scribble for each frame that has some, in order of frames.

    Args:
      path: JSON file.
      size: (H, W) of the frames. Positions become x (W - 1), y (H - 1), cut to whole pixels as the
        benchmark does.
      count: frames of the video.

    Raises ValueError, naming file, frame and stroke: no such file, not of this format, made for
    another number of frames, a position outside [0, 1], a wrong id, or no stroke at all.
    """
    frames = _frames(Path(path), count)
    scribbles = []
    for frame, records in enumerate(frames):
        if not isinstance(records, list):
            raise ValueError(f"{path}: frame {frame}: expected a list of strokes, found {records}")
        strokes = []
        for index, record in enumerate(records):
            try:
                strokes.append(_stroke(record, size))
            except ValueError as error:
                raise ValueError(f"{path}: frame {frame}, stroke {index}: {error}") from None
        if strokes:
            scribbles.append(Scribble(frame, tuple(strokes)))
    if not scribbles:
        raise ValueError(f"{path}: no stroke in this file, all of its frames are empty")
    return scribbles


def write_scribbles(
    path: Path | str,
    sequence: str,
    scribbles: Iterable[Scribble],
    size: tuple[int, int],
    count: int,
) -> None:
    """Writes such a file; the strokes of several scribbles on a frame follow each other.

    Positions are those of the pixels that the points lie in, so `read_scribbles` (and the
    benchmark's own reader) draws the same pixels. Raises ValueError for a frame outside the video.
    """
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for scribble in scribbles:
        if not 0 <= scribble.frame < count:
            raise ValueError(
                f"{path}: scribble on frame {scribble.frame}, frames are 0..{count - 1}"
            )
        frames[scribble.frame] += [
            {"path": _shares(stroke, size), "object_id": stroke.object}
            for stroke in scribble.strokes
        ]
    text = json.dumps({"sequence": sequence, "scribbles": frames})
    Path(path).write_text(text + "\n", encoding="utf-8")


def _frames(path: Path, count: int) -> list[Any]:
    """The list of frames of a file, of the right length."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such scribble file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a scribble file ({error})") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(record, dict) or not isinstance(record.get("scribbles"), list):
        raise ValueError(f"{path}: not a scribble file, expected an object with a list 'scribbles'")
    if unknown := sorted(set(record) - {"sequence", "scribbles"}):
        raise ValueError(
            f"{path}: unknown field {unknown[0]!r}, expected 'sequence' and 'scribbles'"
        )
    found: list[Any] = record["scribbles"]
    if len(found) != count:
        raise ValueError(f"{path}: scribbles for {len(found)} frames, the video has {count}")
    return found


def _stroke(record: Any, size: tuple[int, int]) -> Stroke:
    if not isinstance(record, Mapping) or not set(record) >= _FIELDS:
        raise ValueError(f"expected 'path' and 'object_id', found {str(record)[:80]}")
    if unknown := sorted(set(record) - _FIELDS - _TIMES):
        raise ValueError(f"unknown field {unknown[0]!r}")
    stroke = Stroke(record["object_id"], record["path"])
    if not 0 <= stroke.object <= MAX_OBJECT_ID:
        raise ValueError(f"object_id must be 0..{MAX_OBJECT_ID}, found {stroke.object}")
    shares = np.array(stroke.path)
    if outside := [point for point in stroke.path if not (0 <= min(point) and max(point) <= 1)]:
        raise ValueError(f"position {list(outside[0])} is outside the frame, expected 0..1")
    whole = (shares * [size[1] - 1, size[0] - 1]).astype(np.int64)
    return Stroke(stroke.object, tuple((float(x), float(y)) for x, y in whole))


def _shares(stroke: Stroke, size: tuple[int, int]) -> list[list[float]]:
    """Positions in [0, 1] that a reader who multiplies and cuts brings back to the same pixels."""
    whole, sides = pixels(stroke.path, size), np.array([size[1] - 1, size[0] - 1])
    shares = whole / np.maximum(sides, 1)
    short = (shares * sides).astype(np.int64) < whole  # by rounding
    found: list[list[float]] = np.where(short, np.nextafter(shares, 1), shares).tolist()
    return found
