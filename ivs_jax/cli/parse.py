"""Values of command line flags: text in, plain values or a clear error out."""

import re
from pathlib import Path

from ivs_jax.interaction import Click

EXPORTS = ("palette", "objects", "coco", "rgba")

_NUMBER = r"-?\d+(?:\.\d*)?|-?\.\d+"
_CLICK = re.compile(rf"(\d+):(\d+):({_NUMBER}),({_NUMBER})(?::([+-]))?")


def parse_click(text: str) -> Click:
    """`FRAME:OBJECT:X,Y` is a click on the object, `FRAME:OBJECT:X,Y:-` one off it."""
    match = _CLICK.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(
            f"--click {text!r}: expected FRAME:OBJECT:X,Y (on the object) or FRAME:OBJECT:X,Y:- "
            "(not the object), e.g. 0:1:320,200"
        )
    frame, number, x, y, sign = match.groups()
    return Click(int(frame), int(number), float(x), float(y), 0 if sign == "-" else 1)


def parse_mask(text: str) -> tuple[int, Path]:
    """`FRAME:PATH` -> (frame, path of the mask image)."""
    frame, colon, path = text.partition(":")
    if not colon or not frame.strip().isdecimal() or not path.strip():
        raise ValueError(f"--mask {text!r}: expected FRAME:PATH, e.g. 0:first_mask.png")
    return int(frame), Path(path.strip()).expanduser()


def parse_exports(text: str) -> tuple[str, ...]:
    """A comma list of `EXPORTS`, each once, in the order of `EXPORTS`."""
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(wanted - set(EXPORTS))
    if unknown or not wanted:
        found = unknown[0] if unknown else text
        raise ValueError(f"--export {found!r}: expected a comma list of {', '.join(EXPORTS)}")
    return tuple(name for name in EXPORTS if name in wanted)


def parse_numbers(flag: str, text: str) -> tuple[int, ...]:
    """A comma list of whole numbers from 1 on, the value of `flag`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"{flag} {text!r}: expected a comma list of numbers from 1 on, e.g. 1,4,16"
        )
    return tuple(map(int, parts))


def parse_duration(flag: str, text: str) -> float:
    """Seconds of `90s`, `9m` or `1.5h`, the value of `flag`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smh])", text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{flag} {text!r}: expected a time such as 90s, 9m or 1.5h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
