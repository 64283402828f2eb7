"""Refinement modes and their published settings (experiments/papers/brs.md, sections A4, B5)."""

from dataclasses import dataclass, replace
from typing import Literal

from ivs_jax.refine.solution import Keep

NO_REFINEMENT = "NoBRS"


@dataclass(frozen=True)
class RefineConfig:
    """Settings of one mode; the defaults are those of f-BRS.

    Attributes:
      mode: public name.
      variable: what is optimised: the interaction maps, the normalised RGB, or channel scales and
        biases of features.
      max_evaluations: budget of network evaluations (forward and backward).
      max_iterations: budget of accepted steps, None for no limit.
      memory_size: pairs that L-BFGS keeps.
      gradient_tolerance: converged below this largest gradient entry.
      threshold: probability above which a pixel is object, in the click check.
      radius: of the square of pixels around a click; 0 is the clicked pixel alone.
      mean: click errors are averaged for each polarity (f-BRS); False sums them (BRS).
      weight: of the squared change (lambda).
      bias_factor: how much more a feature bias costs than a scale.
      stop_unchanged: stop when the masks of two evaluations overlap by more than `min_iou`.
      min_iou: see `stop_unchanged`.
      network_clicks: how many clicks enter the network's maps; later ones only the energy. None:
        all. For the caller, who makes the maps.
      min_clicks: refinement starts at this many clicks. For the caller, who knows the clicks.
      keep: whose mask is the answer, see `lbfgs.minimise`.
      trials: evaluations of a line search that run as one batch, see `lbfgs.minimise`.
    """

    mode: str
    variable: Literal["maps", "rgb", "features"]
    max_evaluations: int = 20
    max_iterations: int | None = None
    memory_size: int = 20
    gradient_tolerance: float = 1e-8
    threshold: float = 0.49
    radius: int = 1
    mean: bool = True
    weight: float = 1e-3
    bias_factor: float = 10.0
    stop_unchanged: bool = True
    min_iou: float = 0.99
    network_clicks: int | None = 8
    min_clicks: int = 2
    keep: Keep = "lowest"
    trials: int = 1


MODES: dict[str, RefineConfig] = {
    config.mode: config
    for config in (
        RefineConfig(
            "BRS",
            "maps",
            # Published: 100 iterations and no bound on evaluations. 20 trials a step bound them.
            max_evaluations=2001,
            max_iterations=100,
            gradient_tolerance=1e-9,
            threshold=0.5,
            radius=0,
            mean=False,
            stop_unchanged=False,
            network_clicks=None,
            min_clicks=1,
            keep="last",
        ),
        RefineConfig("RGB-BRS", "rgb", network_clicks=5),
        RefineConfig("DistMap-BRS", "maps", network_clicks=5),
        RefineConfig("f-BRS-A", "features"),
        RefineConfig("f-BRS-B", "features"),
        RefineConfig("f-BRS-C", "features"),
    )
}


def config_for(mode: str) -> RefineConfig | None:
    """Published settings of a mode; None for "NoBRS". Raises ValueError for an unknown name."""
    if mode == NO_REFINEMENT:
        return None
    if mode not in MODES:
        legal = ", ".join((NO_REFINEMENT, *MODES))
        raise ValueError(f"unknown refinement mode {mode!r}, expected one of {legal}")
    return MODES[mode]


def interactive_settings(config: RefineConfig) -> RefineConfig:
    """The settings for who waits for every click, where they differ from the published ones.

    Refinement starts at the first click, and the evaluation that satisfies all clicks is the
    answer, though another may have less energy.
    """
    return replace(config, min_clicks=1, keep="satisfied")
