"""Clicks -> mask on single images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ivs_jax.api.prompts import (
    EngineLoader,
    default_loader,
    read_logits,
    read_points,
    signed_logits,
)
from ivs_jax.interaction import Click, Scribble, Stroke
from ivs_jax.session import Engine, Still
from ivs_jax.session.hints import Prompt, PromptMaps
from ivs_jax.session.mark import check_inside
from ivs_jax.session.merge import compose


class ImagePredictor:
    """Clicks -> mask on single images: `set_image`, then `predict` as often as you like.

    Args:
      load_engine: video -> engine; default `ivs_jax.session.build.load_engine`.
      options: passed to it, e.g. model="click-small", refine="f-BRS-B".
    """

    def __init__(self, load_engine: EngineLoader | None = None, **options: Any) -> None:
        self._load = load_engine or default_loader()
        self._options = options
        self._engine: Engine | None = None
        self._image: np.ndarray | None = None

    def set_image(self, image: ArrayLike) -> None:
        """Chooses the image, uint8 `[H, W, 3]` RGB. Networks are loaded once."""
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"image is {image.dtype}{list(image.shape)}, expected uint8 [H, W, 3] RGB"
            )
        if self._engine is None:
            self._engine = self._load(Still(image), **self._options)
        self._image = image

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        return_logits: bool = False,
        scribbles: Sequence[tuple[int, Any]] = (),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segments one object.

        Args:
          point_coords: `[N, 2]` (x, y) in pixels.
          point_labels: `[N]`, 1 object, 0 background, -1 padding.
          box: `[4]` x0, y0, x1, y1 in pixels; becomes clicks, see `box_clicks`.
          mask_input: `[1, H, W]` logits of an earlier prediction, to correct it.
          return_logits: give `masks` as logits.
          scribbles: strokes (label, points `[n, 2]` (x, y)), 1 = on the object, 0 = off it.

        Returns:
          masks `[1, H, W]` bool (float32 logits if asked), scores `[1]` float32 (mean probability
          inside the mask; how sure the network is, not a measured IoU), logits `[1, H, W]`
          float32, positive exactly where the mask is.
        """
        if self._image is None or self._engine is None:
            raise ValueError("no image: call set_image first")
        size = (self._image.shape[0], self._image.shape[1])
        points = read_points(point_coords, point_labels, box, size)
        hints = _hints(points, scribbles, size)
        previous = None if mask_input is None else read_logits(mask_input, size)
        before = np.zeros(size, bool) if previous is None else previous > 0.5
        maps = PromptMaps(hints, size)
        question = maps.interactor_input(1, before)
        if not question.clicked:
            raise ValueError("predict needs a point or a box, or a stroke on the object, got none")
        answer = self._engine.interactor.predict(
            self._image, question.clicks, previous, scribbles=question.scribbles
        )
        mask = compose({1: answer.probability}, maps, None) == 1
        logits = signed_logits(mask, answer.probability)[None]
        score = float(answer.probability[mask].mean()) if mask.any() else 0.0
        return logits if return_logits else mask[None], np.array([score], np.float32), logits

    def reset_image(self) -> None:
        """Forgets the image; networks stay loaded."""
        self._image = None


def _hints(
    points: Sequence[tuple[float, float, int]],
    scribbles: Sequence[tuple[int, Any]],
    size: tuple[int, int],
) -> list[Prompt]:
    """Clicks and strokes on object 1 and off it, all inside the image."""
    hints: list[Prompt] = [Click(0, 1, x, y, label) for x, y, label in points]
    for x, y, _ in points:
        check_inside(x, y, size)
    for label, path in scribbles:
        if label not in (0, 1):
            raise ValueError(f"stroke label must be 1 (object) or 0 (background), got {label!r}")
        stroke = Stroke(label, path)
        for x, y in stroke.path:
            check_inside(x, y, size, "stroke point")
        hints.append(Scribble(0, (stroke,)))
    return hints
