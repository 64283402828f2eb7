"""Interactive video segmentation in JAX: click an object, get its masks in every frame."""

from ivs_jax.api import ImagePredictor, VideoPredictor
from ivs_jax.io import open_video
from ivs_jax.known_faults import warn_of_known_faults
from ivs_jax.session import load, replay, save, start, step
from ivs_jax.session.build import load_engine

__all__ = [
    "ImagePredictor",
    "VideoPredictor",
    "load",
    "load_engine",
    "open_video",
    "replay",
    "save",
    "start",
    "step",
]

warn_of_known_faults()
