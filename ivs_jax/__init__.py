"""Interactive video segmentation in JAX: click an object, get its masks in every frame.

>>> import ivs_jax
>>> engine = ivs_jax.load_engine(ivs_jax.open_video("clip.mp4"))
>>> state = ivs_jax.start(engine)
>>> state = ivs_jax.step(state, ivs_jax.Click(frame=0, object=1, x=28, y=12))
>>> state = ivs_jax.step(state, ivs_jax.Propagate())
>>> state.labels(7).shape  # object ids of frame 7
(96, 160)
"""

from ivs_jax.api import ImagePredictor, StreamPredictor, VideoPredictor
from ivs_jax.interaction import (
    AddObject,
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Scribble,
    Stroke,
    Undo,
)
from ivs_jax.io import encode_rle, open_video
from ivs_jax.known_faults import warn_of_known_faults
from ivs_jax.session import load, replay, save, start, step
from ivs_jax.session.build import load_engine
from ivs_jax.session.suggest import suggest

__all__ = [
    "AddObject",
    "Clear",
    "Click",
    "Event",
    "ImagePredictor",
    "Mask",
    "Propagate",
    "Redo",
    "RemoveObject",
    "Scribble",
    "StreamPredictor",
    "Stroke",
    "Undo",
    "VideoPredictor",
    "encode_rle",
    "load",
    "load_engine",
    "open_video",
    "replay",
    "save",
    "start",
    "step",
    "suggest",
]

warn_of_known_faults()
