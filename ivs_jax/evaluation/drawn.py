"""Drawn clips for evaluation: what no propagation network may fail at, without any data set.

Each has one object to follow, marked on the first frame: a textured disc, one of three like discs,
a disc that moves by an eighth of its width and more a frame, and a disc in small frames.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ivs_jax.data.drawn_clips import Shape, filling, paint, soft_noise
from ivs_jax.evaluation.region import iou
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.sections import Section
from ivs_jax.interaction.events import Mask, Propagate
from ivs_jax.io import encode_rle
from ivs_jax.session import Engine, start, step

FRAMES = 15


@dataclass(frozen=True)
class Disc:
    """A disc that moves in a line: all lengths in pixels.

    Attributes:
      centre: (y, x) on the first frame.
      step: (y, x) from frame to frame.
      radius: of the disc.
      look: number of its filling; discs of one number look the same.
    """

    centre: tuple[float, float]
    step: tuple[float, float]
    radius: float
    look: int = 1


class DrawnClip:
    """A video whose first disc is the object; `session.engine.Frames` with the truth beside."""

    def __init__(self, name: str, size: tuple[int, int], discs: tuple[Disc, ...]) -> None:
        self.path, self.size = name, size
        rng = np.random.default_rng(7)
        side = max(size)
        ground = 110 + soft_noise(rng, side, cells=8, strength=35)[: size[0], : size[1]]
        shapes = {
            disc.look: filling(np.random.default_rng(disc.look), None, side) for disc in discs
        }
        self._frames, self._truth = [], []
        for t in range(FRAMES):
            image, label = ground.copy(), np.zeros(size, np.uint8)
            for number, disc in reversed(list(enumerate(discs))):  # the object is in front
                centre = np.array(disc.centre) + t * np.array(disc.step)
                shape = Shape(disc.radius, np.zeros((0, 2)), 1.0, shapes[disc.look])
                paint(image, label, shape, centre, 0.0, int(number == 0))
            self._frames.append(np.clip(np.round(image), 0, 255).astype(np.uint8))
            self._truth.append(label)

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, index: int, /) -> np.ndarray:
        return self._frames[index]

    def truth(self, frame: int) -> np.ndarray:
        """`[H, W]` uint8: 1 where the object is, 0 elsewhere."""
        return self._truth[frame]


def drawn_clips() -> tuple[DrawnClip, ...]:
    """The clips: disc, like discs, fast disc, small frames; 15 frames each."""
    wide = (288, 480)
    return (
        DrawnClip("disc", wide, (Disc((140, 120), (0, 4.8), 54),)),
        DrawnClip(
            "three like discs",
            wide,
            (
                Disc((80, 90), (2, 6), 36),
                Disc((200, 110), (-1, 7), 36),
                Disc((130, 330), (3, -6), 36),
            ),
        ),
        DrawnClip("fast disc", wide, (Disc((150, 80), (2, 22), 54),)),
        DrawnClip("small frames", (96, 160), (Disc((46, 40), (0, 3), 18),)),
    )


def drawn_scores(
    load_engine: Callable[[Any], Engine],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[float]]:
    """IoU of every frame but the first, by the name of the clip, from the true first mask.

    `load_engine` makes the engine of a clip; `progress` gets frames done and all of them.
    """
    clips = drawn_clips()
    scores: dict[str, list[float]] = {}
    total = len(clips) * (FRAMES - 1)
    for clip in clips:
        state = step(start(load_engine(clip)), Mask(0, 1, encode_rle(clip.truth(0) == 1)))
        state = step(
            state,
            Propagate(start=0),
            progress=lambda done, *_: progress(len(scores) * (FRAMES - 1) + done, total),
        )
        scores[clip.path] = [
            iou(state.labels(frame) == 1, clip.truth(frame) == 1) for frame in range(1, FRAMES)
        ]
    return scores


def drawn_markdown(scores: Mapping[str, list[float]], model: str) -> str:
    """A table with a row for each clip."""
    rows = [
        [name, float(np.mean(values)), float(np.min(values)), values[0], values[-1]]
        for name, values in scores.items()
    ]
    heads = ["clip", "IoU Mean", "IoU least", "frame 1", f"frame {FRAMES - 1}"]
    return to_markdown(f"Drawn clips: {model}", [Section(table=(heads, rows))])
