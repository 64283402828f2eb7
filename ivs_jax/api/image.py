"""Clicks -> mask on single images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL.Image import Image

from ivs_jax.api.loader import EngineLoader, engine_loader
from ivs_jax.api.prompts import read_frame, read_logits, read_points, signed_logits
from ivs_jax.interaction import Click, Scribble, Stroke
from ivs_jax.io import open_video
from ivs_jax.session import Engine, ImageEncoder, Interactor, Still
from ivs_jax.session.hints import InteractorInput, Prompt, PromptMaps
from ivs_jax.session.mark import check_inside
from ivs_jax.session.merge import compose
from ivs_jax.types import Interaction


class ImagePredictor:
    """Clicks -> mask on single images: `set_image`, then `predict` as often as you like.

    Args:
      load_engine: video -> engine; default `ivs_jax.load_engine`.
      options: passed to it, e.g. model="click-small", refine="f-BRS-B". Raises TypeError for one
        that it does not have.

    >>> import numpy as np
    >>> from PIL import Image
    >>> from ivs_jax import ImagePredictor
    >>> predictor = ImagePredictor()
    >>> predictor.set_image(np.asarray(Image.open("image.png")))
    >>> masks, scores, logits = predictor.predict(point_coords=[[28, 12]], point_labels=[1])
    >>> masks.shape, masks.dtype, bool(masks[0, 12, 28])
    ((1, 96, 160), dtype('bool'), True)
    """

    def __init__(self, load_engine: EngineLoader | None = None, **options: Any) -> None:
        self._load = engine_loader(load_engine, options, caller="ImagePredictor")
        self._engine: Engine | None = None
        self._image: np.ndarray | None = None
        self._encoded: Any = None

    def set_image(self, image: ArrayLike | Image, image_format: str = "RGB") -> None:
        """Chooses the image, uint8 `[H, W, 3]` or a Pillow image, and encodes it once.

        The image is copied. `image_format` is "RGB", or "BGR" for an array that OpenCV read.
        Networks are loaded at the first image only.

        >>> predictor = ImagePredictor()
        >>> predictor.set_image(Image.open("image.png"))
        >>> predictor.set_image(opencv_image, image_format="BGR")
        """
        pixels = read_frame(open_video(image)[0] if isinstance(image, Image) else image)
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format must be RGB or BGR, got {image_format!r}")
        pixels = np.array(pixels if image_format == "RGB" else pixels[..., ::-1], order="C")
        if self._engine is None:
            self._engine = self._load(Still(pixels))
        interactor = self._engine.interactor
        self._encoded = interactor.encode(pixels) if isinstance(interactor, ImageEncoder) else None
        self._image = pixels

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        *,
        scribbles: Sequence[tuple[int, Any]] = (),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segments one object.

        Args:
          point_coords: `[N, 2]` (x, y) in pixels.
          point_labels: `[N]`, 1 object, 0 background, -1 padding.
          box: `[4]` x0, y0, x1, y1 in pixels; becomes clicks, see `ivs_jax.api.box_clicks`.
          mask_input: `[1, H, W]` logits of an earlier prediction, to correct it.
          multimask_output: SAM's, which then gives three masks. These networks have one answer, so
            there is one mask either way.
          return_logits: give `masks` as logits.
          scribbles: strokes (label, points `[n, 2]` (x, y)), 1 = on the object, 0 = off it.

        Returns:
          masks `[1, H, W]` bool (float32 logits if asked), scores `[1]` float32 (mean probability
          inside the mask; how sure the network is, not a measured IoU), logits `[1, H, W]`
          float32, positive exactly where the mask is.

        >>> predictor = ImagePredictor()
        >>> predictor.set_image(Image.open("image.png"))
        >>> masks, scores, logits = predictor.predict(np.array([[28, 12]]), np.array([1]))
        >>> masks, scores, logits = predictor.predict(  # one click more, to correct that mask
        ...     np.array([[28, 12], [28, 44]]), np.array([1, 0]), mask_input=logits
        ... )
        >>> bool(masks[0, 12, 28]), bool(masks[0, 44, 28])
        (True, False)
        >>> masks, _, _ = predictor.predict(box=[16, 4, 39, 27])
        >>> masks, _, _ = predictor.predict(scribbles=[(1, [[20, 12], [30, 12]])])
        """
        if self._image is None or self._engine is None:
            raise ValueError("no image: call set_image first")
        image = self._image
        size = (image.shape[0], image.shape[1])
        points = read_points(point_coords, point_labels, box, size)
        hints = _hints(points, scribbles, size)
        previous = None if mask_input is None else read_logits(mask_input, size)
        before = np.zeros(size, bool) if previous is None else previous > 0.5
        maps = PromptMaps(hints, size)
        question = maps.interactor_input(1, before)
        if not question.clicked:
            raise ValueError("predict needs a point or a box, or a stroke on the object, got none")
        answer = self._ask(self._engine.interactor, image, question, previous)
        mask = compose({1: answer.probability}, maps, None) == 1
        logits = signed_logits(mask, answer.probability)[None]
        score = float(answer.probability[mask].mean()) if mask.any() else 0.0
        return logits if return_logits else mask[None], np.array([score], np.float32), logits

    def reset_image(self) -> None:
        """Forgets the image; networks stay loaded. `reset_predictor` is another name of it.

        >>> predictor = ImagePredictor()
        >>> predictor.set_image(Image.open("image.png"))
        >>> predictor.reset_image()
        """
        self._image = self._encoded = None

    reset_predictor = reset_image

    def _ask(
        self,
        interactor: Interactor,
        image: np.ndarray,
        question: InteractorInput,
        previous: np.ndarray | None,
    ) -> Interaction:
        """The interactor's answer; one that can encode an image has done so in `set_image`."""
        options: Any = {"scribbles": question.scribbles}
        if isinstance(interactor, ImageEncoder):
            options["encoded"] = self._encoded
        return interactor.predict(image, question.clicks, previous, **options)


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
