"""The clicks of a NoC run as a file, from which the same clicks can be run again.

JSON lines, one object each:

    {"name": "airplane02", "clicks": [[188, 140, 1], [302, 77, 0]], "ious": [0.71, 0.92]}

A click is `[x, y, label]` in whole pixels of the image, label 1 = object, 0 = background. `ious`
(after each click) is for readers; a run ignores it, so files made by hand may leave it out.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ivs_jax.evaluation.noc.config import Click
from ivs_jax.evaluation.noc.record import ObjectResult
from ivs_jax.evaluation.report.files import write_text
from ivs_jax.types import BACKGROUND, OBJECT


def write_clicks(path: str | Path, results: Iterable[ObjectResult]) -> None:
    """Writes the clicks of every measured object."""
    records = [
        {"name": r.name, "clicks": r.clicks, "ious": r.ious} for r in results if not r.skipped
    ]
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def read_clicks(path: str | Path) -> dict[str, list[Click]]:
    """Reads a file of clicks. Raises ValueError naming the file and the line that is wrong."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected JSON lines, found no text ({error})") from error
    found: dict[str, list[Click]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name, clicks = _record(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}: line {number}: {error}") from error
        if name in found:
            raise ValueError(f"{path}: line {number}: {name!r} for the second time")
        found[name] = clicks
    if not found:
        raise ValueError(f"{path}: no clicks, expected a JSON line for each object")
    return found


def replay_problem(clicks: Sequence[Click], size: tuple[int, ...], max_clicks: int) -> str | None:
    """Why these clicks cannot be run on an image of `size` (height, width), or None."""
    if not 0 < len(clicks) <= max_clicks:
        return f"{len(clicks) or 'no'} clicks to replay, expected 1 to {max_clicks}"
    for number, (x, y, _) in enumerate(clicks, 1):
        if not (0 <= x < size[1] and 0 <= y < size[0]):
            return f"click {number} at ({x}, {y}) is outside the image of {size[1]} x {size[0]}"
    return None


def _record(value: Any) -> tuple[str, list[Click]]:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError(f"expected an object with a name, found {_short(value)}")
    clicks = value.get("clicks")
    if not isinstance(clicks, list) or not clicks:
        raise ValueError(f"expected clicks [[x, y, label], ...], found {_short(clicks)}")
    return value["name"], [_click(click) for click in clicks]


def _click(value: Any) -> Click:
    whole = isinstance(value, list) and len(value) == 3 and all(type(v) is int for v in value)
    if not whole or value[2] not in (OBJECT, BACKGROUND):
        raise ValueError(f"expected [x, y, label] in whole pixels, label 1 or 0, found {value}")
    return value[0], value[1], value[2]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
