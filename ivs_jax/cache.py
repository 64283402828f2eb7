"""What JAX compiled is kept on disk, so that the second run of a program starts at once."""

import os
import sys
from pathlib import Path

import jax

_COMPILE_EVENTS = "/jax/core/compile/"


def cache_folder() -> Path:
    """$IVS_CACHE, else `ivs_jax` in the user's cache folder of this platform."""
    if named := os.environ.get("IVS_CACHE"):
        return Path(named).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "ivs_jax"


def enable_compilation_cache() -> Path | None:
    """Switches the cache on and returns its folder; None if the folder cannot be written.

    A folder that the user gave to JAX itself (`JAX_COMPILATION_CACHE_DIR`) is kept.
    """
    given = jax.config.values["jax_compilation_cache_dir"]
    if given:
        return Path(given)
    folder = cache_folder() / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return folder


class CompileClock:
    """Seconds that JAX spent on tracing and compiling inside a `with` block."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> "CompileClock":
        jax.monitoring.register_event_duration_secs_listener(self._add)
        return self

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._add)

    def _add(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith(_COMPILE_EVENTS):
            self.seconds += duration_secs
