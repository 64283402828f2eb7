"""Predictors with the names that users of segmentation tools know; a thin layer on the session.

Points are `(x, y)` in pixels; label 1 = object, 0 = background, -1 = padding (ignored).
"""

from ivs_jax.api.image import ImagePredictor
from ivs_jax.api.prompts import box_clicks
from ivs_jax.api.stream import StreamPredictor
from ivs_jax.api.video import VideoPredictor, VideoState

__all__ = ["ImagePredictor", "StreamPredictor", "VideoPredictor", "VideoState", "box_clicks"]
