"""A session: a pure state and the one verb that changes it."""

from ivs_jax.session.engine import (
    Engine,
    Frames,
    ImageEncoder,
    Interactor,
    Propagator,
    Still,
    Stream,
    StreamPropagator,
)
from ivs_jax.session.save import load, replay, save
from ivs_jax.session.state import FrameMasks, Mark, Scene, State, Statistics, start
from ivs_jax.session.step import step

__all__ = [
    "Engine",
    "FrameMasks",
    "Frames",
    "ImageEncoder",
    "Interactor",
    "Mark",
    "Propagator",
    "Scene",
    "State",
    "Statistics",
    "Still",
    "Stream",
    "StreamPropagator",
    "load",
    "replay",
    "save",
    "start",
    "step",
]
