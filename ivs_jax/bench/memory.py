"""Peak memory of `ivs segment` on a long video against a short one of the same size.

    ivs bench memory

Each run is a process of its own, so that its peak is its own. A propagation that kept frames,
masks or memory would show as a ratio near that of the lengths.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ivs_jax.io import OverlayWriter

SIZE = (128, 192)

_RUN = """
import resource, sys
from ivs_jax.cli import main
code = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


class Peak(NamedTuple):
    """Peak resident memory in MiB of a run over `frames` frames."""

    frames: int
    mebibytes: float


def write_drifting_disk(path: Path, frames: int) -> None:
    """A video of `SIZE`: a bright disk that moves over noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 120, (*SIZE, 3), dtype=np.uint8)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    with OverlayWriter(path, 25.0, SIZE) as writer:
        for t in range(frames):
            cx, cy = 96 + 40 * np.sin(t / 20), 64 + 25 * np.cos(t / 20)
            disk = (columns - cx) ** 2 + (rows - cy) ** 2 < 22**2
            writer.write(np.where(disk[..., None], np.array([230, 60, 60], np.uint8), noise))


def run_memory(lengths: tuple[int, int] = (200, 2000)) -> list[Peak]:
    """Measures `ivs segment` with one click on videos of the given lengths."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for frames in (lengths[0], *lengths):  # the first run only fills the compilation cache
            video, out = Path(folder) / f"{frames}.mp4", Path(folder) / f"{frames}"
            write_drifting_disk(video, frames)
            arguments = ["segment", str(video), "--click", "0:1:96,89", "--out", str(out)]
            command = [sys.executable, "-c", _RUN, *arguments]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise ValueError(f"ivs segment on {frames} frames failed: {done.stderr[-500:]}")
            peaks.append(Peak(frames, int(done.stdout.split("peak")[-1]) / 1024))
    return peaks[1:]
