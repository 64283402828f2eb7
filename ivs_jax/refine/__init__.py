"""Backpropagating refinement: make a network's answer agree with every click. Knows no network."""

from ivs_jax.refine.brs import refine_input
from ivs_jax.refine.config import (
    MODES,
    NO_REFINEMENT,
    RefineConfig,
    config_for,
    interactive_settings,
)
from ivs_jax.refine.fbrs import refine_features, rescale
from ivs_jax.refine.lbfgs import minimise
from ivs_jax.refine.solution import FAILED, STATUS_NAMES, Solution

__all__ = [
    "FAILED",
    "MODES",
    "NO_REFINEMENT",
    "STATUS_NAMES",
    "RefineConfig",
    "Solution",
    "interactive_settings",
    "config_for",
    "minimise",
    "refine_features",
    "refine_input",
    "rescale",
]
