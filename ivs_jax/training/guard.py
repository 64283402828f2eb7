"""What stops a run before its last step with nothing lost: a signal, time, a loss of NaN."""

import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np

from ivs_jax.io.atomic import atomic
from ivs_jax.training.checkpoint import flattened

# Hosts ask each other whether to stop in steps that are multiples of this: asking waits for the
# devices.
AGREE_EVERY = 10


class Guard:
    """Says when to stop; a context manager that takes SIGTERM and SIGINT over.

    A first signal only sets `reason`; a second one acts as it would have without the guard. `limit`
    is in seconds from the start of the block, None for none.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, limit: float | None = None) -> None:
        if limit is not None and limit <= 0:
            raise ValueError(f"time limit: expected more than 0 seconds, found {limit:g}")
        self._limit = limit
        self._signal: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Guard":
        self._start = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reason(self, step: int) -> str | None:
        """Why to stop after `step`: a signal's name, "time limit" or None; hosts agree."""
        late = self._limit is not None and time.monotonic() - self._start >= self._limit
        reason = self._signal or ("time limit" if late else None)
        if jax.process_count() == 1:
            return reason
        if step % AGREE_EVERY:
            return None
        from jax.experimental import multihost_utils

        reasons = (None, "time limit", *(number.name for number in self.SIGNALS))
        every = multihost_utils.process_allgather(np.int32(reasons.index(reason)))
        return reasons[int(np.max(every))]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name
        signal.signal(number, self._before[signal.Signals(number)])


def write_batch(path: Path, batch: Any, about: Mapping[str, Any]) -> None:
    """Writes the arrays of a batch by their dotted names, and `about` as `run.<name>`, as .npz."""
    arrays = {name: np.asarray(leaf) for name, leaf in flattened(batch).items()}
    arrays |= {f"run.{name}": np.asarray(value) for name, value in about.items()}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
