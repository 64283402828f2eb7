"""What a run says of itself: lines of CSV files, TensorBoard events, curves, example pictures."""

import csv
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ivs_jax.io.atomic import atomic

TRAINING, VALIDATION = "training.csv", "validation.csv"
STEP = "step"
TIMES = ("minutes", "steps_per_second", "input_share", "save_share")


class Journal:
    """The logs in the folder of a run, from `step` steps on."""

    def __init__(self, folder: Path, *, step: int) -> None:
        self.folder = folder
        self._training = Table(folder / TRAINING, step=step)
        self._validation = Table(folder / VALIDATION, step=step)
        self._events = Events(folder / "tensorboard", step=step)

    def training(self, step: int, values: Mapping[str, float], times: Mapping[str, float]) -> None:
        """A line of means of metrics and of the `TIMES`."""
        rounded = {name: f"{value:.4g}" for name, value in times.items()}
        self._training.add({STEP: step, **rounded, **values})
        self._events.scalars("training", values, step)
        self._events.scalars("time", times, step)

    def validation(self, step: int, values: Mapping[str, float], picture: np.ndarray) -> None:
        """A line of metrics, and `examples/<step>.png` from `picture` uint8 `[H, W, 3]`."""
        self._validation.add({STEP: step, **values})
        self._events.scalars("validation", values, step)
        self._events.picture("examples", picture, step)
        with atomic(self.folder / "examples" / f"{step:08d}.png") as temporary:
            Image.fromarray(picture).save(temporary)
        plot_curves(self.folder)

    def close(self) -> None:
        self._events.close()
        plot_curves(self.folder)


class Table:
    """A CSV file that grows by a line at a time; its columns are those of the first line.

    Lines of steps after `step` are dropped: they are of a run that was killed before its next
    checkpoint and does those steps again.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        rows = [row for row in read_table(path) if int(row[STEP]) <= step]
        if rows:
            with atomic(path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            path.unlink(missing_ok=True)
        self._columns = list(rows[0]) if rows else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a line, on disk when this returns; ValueError if its columns are others."""
        new = self._columns is None
        self._columns = self._columns or list(row)
        if list(row) != self._columns:
            found, expected = ", ".join(row), ", ".join(self._columns)
            raise ValueError(f"{self.path}: a line with {found}, its columns are {expected}")
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())


def read_table(path: Path) -> list[dict[str, str]]:
    """The whole lines of a CSV file; none if there is no such file.

    A last line that a killed process left half-written is left out.
    """
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    rows = list(csv.DictReader(lines))
    return [row for row in rows if None not in row and None not in row.values()]


class Means:
    """Means of metrics over the steps since the last line; its sums travel with checkpoints."""

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0) -> None:
        self.sums: dict[str, float] = dict(sums or {})
        self.count = count

    def add(self, values: Mapping[str, float]) -> None:
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in values.items()}
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means, and starts again."""
        means = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class Clock:
    """Seconds by what they were spent on, since the last `restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._start = time.monotonic()
        self.spent = {"input": 0.0, "save": 0.0}

    @property
    def seconds(self) -> float:
        """All of them, whatever they were spent on."""
        return time.monotonic() - self._start

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.spent[what] += time.monotonic() - start


class Events:
    """TensorBoard's event files; nothing is written where tensorboardX is not installed."""

    def __init__(self, folder: Path, *, step: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            self._writer = None
            print("TensorBoard logs need tensorboardX: pip install tensorboardX", flush=True)
        else:
            # What a killed run wrote after its last checkpoint is not shown. Files are named by the
            # second: without the step a run that goes on at once would write over its own.
            purge, suffix = step + 1 if step else None, f".{step}"
            self._writer = SummaryWriter(str(folder), purge_step=purge, filename_suffix=suffix)

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """`image` uint8 `[H, W, 3]`."""
        if self._writer is not None:
            self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def plot_curves(folder: Path) -> Path | None:
    """Draws `curves.png` from the tables in `folder`: every metric against steps.

    Training is a mean over the steps between two lines, with a running mean over a twentieth of
    all lines; validation are points. None where there is no line yet.
    """
    from matplotlib.figure import Figure

    tables = [read_table(folder / name) for name in (TRAINING, VALIDATION)]
    names = list(dict.fromkeys(n for rows in tables for row in rows[:1] for n in row))
    names = [name for name in names if name != STEP and name not in TIMES]
    if not names:
        return None
    figure = Figure(figsize=(4.6 * len(names), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        steps, values = _column(tables[0], name)
        if len(steps):
            width = max(1, len(values) // 20)
            mean = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(steps, values, color="0.8", label="training")
            axes.plot(steps[width - 1 :], mean, color="C0", label="running mean")
        steps, values = _column(tables[1], name)
        if len(steps):
            axes.plot(steps, values, "o-", color="C1", markersize=3, label="validation")
        axes.set(xlabel="steps", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with atomic(folder / "curves.png") as temporary:
        figure.savefig(temporary, dpi=110)
    return folder / "curves.png"


def _column(rows: Iterable[Mapping[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    found = [(float(row[STEP]), float(row[name])) for row in rows if name in row]
    steps, values = np.array(found).reshape(-1, 2).T
    return steps, values
