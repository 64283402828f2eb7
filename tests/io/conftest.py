"""Small video files, made where they are needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

MakeClip = Callable[..., Path]


def picture(i: int, size: tuple[int, int]) -> np.ndarray:
    """Frame `i`: a noisy grey that says its number, and a red square that moves."""
    rng = np.random.default_rng(i)
    image = rng.integers(0, 12, (*size, 3)).astype(np.uint8) + np.uint8(20 + 4 * i % 200)
    x = i % (size[1] - 10)
    image[8:18, x : x + 10] = (255, 0, 0)
    return image


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """`make_clip(name, codec, frames=, size=, start=, container=, **encoder options) -> path`."""

    def make(
        name: str,
        codec: str = "libx264",
        *,
        frames: int = 40,
        size: tuple[int, int] = (48, 64),
        start: int = 0,
        container: dict[str, str] | None = None,
        **options: str,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=container or {}) as file:
            stream: Any = file.add_stream(codec, rate=25, options=options)
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for i in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(i, size), format="rgb24")
                frame.pts = i + start
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return path

    return make
