"""One run in a folder at a time: a second one would write over the logs of the first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "run.lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder of a run, which it makes; the system lets go of it when the process ends.

    Raises ValueError if another process holds it.
    """
    import fcntl  # not on Windows, whereas the rest of the package is

    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another process trains in this folder") from None
        yield
    finally:
        os.close(file)
