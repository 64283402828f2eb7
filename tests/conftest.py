"""Settings and fixtures of the whole suite: strict JAX on two virtual CPU devices."""

import os

# Read by JAX when it is imported, so they come first.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
).strip()

from collections import Counter  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


class Compilations:
    """Counts what XLA compiles inside a `with` block; entered again, it starts from 0.

    Every compilation counts, also that of one eager operation and one that the persistent cache
    answers: each is a new shape or a new function, which is what a user waits for.
    """

    def __init__(self) -> None:
        self.count = 0

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == COMPILE_EVENT:
            self.count += 1

    def __enter__(self) -> "Compilations":
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files with most slow tests first; tests marked `ci` need IVS_CI=1.

    A file goes to one process as a whole, because its tests share what they compile. Of the files
    that begin last, none should take long.
    """
    if os.environ.get("IVS_CI") != "1":
        for item in items:
            if item.get_closest_marker("ci"):
                item.add_marker(pytest.mark.skip(reason="repeats in full size (set IVS_CI=1)"))
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])  # stable


@pytest.fixture
def compilations() -> Callable[[], Compilations]:
    """`with compilations() as compiled: ...`, then `compiled.count` says how many there were."""
    return Compilations


@pytest.fixture
def key() -> jax.Array:
    """A fixed random key; split it for more."""
    return jax.random.key(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real validation data: $IVS_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("IVS_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder} (set IVS_DATA to its folder)")
    return folder
