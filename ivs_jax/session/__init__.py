"""A session: a pure state and the one verb that changes it."""

from ivs_jax.session.engine import Engine, Frames, Interactor, Propagator, Still
from ivs_jax.session.save import load, replay, save
from ivs_jax.session.state import FrameMasks, Mark, Scene, State, Statistics, start
from ivs_jax.session.step import step

__all__ = [
    "Engine",
    "FrameMasks",
    "Frames",
    "Interactor",
    "Mark",
    "Propagator",
    "Scene",
    "State",
    "Statistics",
    "Still",
    "load",
    "replay",
    "save",
    "start",
    "step",
]
