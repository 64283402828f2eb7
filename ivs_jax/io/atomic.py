"""Whole files or none: write to a temporary name beside the target, then rename."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path with the suffix of `path`; renames it to `path` on success.

    Missing parent folders are made. If the body raises, the temporary file is removed and an
    older file at `path` stays as it was. The temporary name starts with a dot, so that a folder of
    frames never shows a half-written one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
