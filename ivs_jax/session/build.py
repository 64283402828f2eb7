"""Names -> engine: loads the networks and joins them with a video."""

import functools
import hashlib
from pathlib import Path
from typing import Any

from ivs_jax.models import model_named
from ivs_jax.refine.config import config_for
from ivs_jax.session.click import ClickInteractor
from ivs_jax.session.engine import Engine, Frames
from ivs_jax.session.propagate import STMPropagator
from ivs_jax.weights.store import load_weights, weights_path

CLICK_MODEL, PROPAGATION_MODEL, REFINE = "click-small", "stm-small", "BRS"
BUDGET = 60  # evaluations a click may cost in a session; published BRS has no such bound


def load_engine(
    video: Frames,
    *,
    model: str = CLICK_MODEL,
    propagation: str = PROPAGATION_MODEL,
    refine: str = REFINE,
    budget: int | None = BUDGET,
    weights: Path | None = None,
) -> Engine:
    """Engine for a video with the named networks.

    `weights` is a folder of `<model>.safetensors` files, by default the released ones. Networks
    are loaded and compiled once a process, whatever the number of videos. Raises ValueError for an
    unknown name or unusable weights.
    """
    interactor = load_interactor(model, refine=refine, budget=budget, weights=weights)
    name = f"{model}/{refine}/{propagation}"
    return Engine(video, interactor, load_propagator(propagation, weights=weights), name)


@functools.cache
def load_interactor(
    model: str = CLICK_MODEL,
    *,
    refine: str = REFINE,
    budget: int | None = BUDGET,
    weights: Path | None = None,
) -> ClickInteractor:
    """Click network with refinement, by name."""
    config_for(refine)
    network: Any = model_named(model, kind="click").build()
    return ClickInteractor(
        network,
        load_weights(model, path=weights),
        refine=refine,
        budget=budget,
        name=model,
        fingerprint=_fingerprint(weights_path(model, weights)),
    )


@functools.cache
def load_propagator(
    model: str = PROPAGATION_MODEL, *, weights: Path | None = None
) -> STMPropagator:
    """Propagation network, by name."""
    network: Any = model_named(model, kind="propagation").build()
    return STMPropagator(network, load_weights(model, path=weights))


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
