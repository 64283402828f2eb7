"""Names -> engine: loads the networks and joins them with a video."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ivs_jax.models import model_named
from ivs_jax.models.ipn import IPN
from ivs_jax.refine.config import config_for
from ivs_jax.session.click import ClickInteractor
from ivs_jax.session.engine import Engine, Frames, Propagator
from ivs_jax.session.ipn_click import IPNInteractor
from ivs_jax.session.ipn_propagate import IPNPropagator
from ivs_jax.session.propagate import STMPropagator
from ivs_jax.session.tiles import BRSInteractor
from ivs_jax.weights.checkpoint import sha256
from ivs_jax.weights.store import check_used, find_weights, load_weights

CLICK_MODEL, PROPAGATION_MODEL = "click-small", "stm-small"
BUDGET = 60  # evaluations a click may cost in a session; published BRS has no such bound
Given = Path | Sequence[Path] | None
NetworkInteractor = ClickInteractor | BRSInteractor | IPNInteractor


def load_engine(
    video: Frames,
    *,
    model: str = CLICK_MODEL,
    interaction: str | None = None,
    propagation: str | None = None,
    refine: str | None = None,
    budget: int | None = BUDGET,
    weights: Given = None,
) -> Engine:
    """Engine for a video with the named networks.

    Args:
      model: short for a network in every role that it can play and that is not named below.
      interaction: network that answers clicks and strokes; default: `model`, or click-small.
      propagation: network that carries masks on; default: `model`, or stm-small.
      refine: refinement mode of clicks, see `refine.config.MODES`; default: that of the network.
      budget: most network evaluations a click may cost.
      weights: files, or folders of `<model>.safetensors`; networks that no file is of have their
        released weights.

    Networks are loaded and compiled once a process, whatever the number of videos. Raises
    ValueError for an unknown name, a model without a role, unusable weights, or a weights file that
    nothing uses.

    >>> from ivs_jax import load_engine, open_video
    >>> engine = load_engine(open_video("clip.mp4"), refine="f-BRS-B")
    >>> len(engine.video)
    8
    """
    names = network_names(model, interaction, propagation)
    given = _paths(weights)
    check_used(given, names)
    interactor = load_interactor(names[0], refine=refine, budget=budget, weights=given)
    name = f"{names[0]}/{interactor.refine}/{names[1]}"
    return Engine(video, interactor, load_propagator(names[1], weights=given), name)


def network_names(
    model: str = CLICK_MODEL, interaction: str | None = None, propagation: str | None = None
) -> tuple[str, str]:
    """The network that answers clicks and the one that propagates, see `load_engine`."""
    kind = model_named(model).kind
    clicks = interaction or (CLICK_MODEL if kind == "propagation" else model)
    carries = propagation or (PROPAGATION_MODEL if kind == "click" else model)
    if model not in (clicks, carries, CLICK_MODEL):  # the default may give way
        roles = f"{clicks} answers clicks and {carries} propagates"
        raise ValueError(f"model {model} has nothing to do: {roles}")
    return clicks, carries


def load_interactor(
    model: str = CLICK_MODEL,
    *,
    refine: str | None = None,
    budget: int | None = BUDGET,
    weights: Given = None,
    published: bool = False,
) -> NetworkInteractor:
    """Click network with refinement, by name; arguments as for `load_engine`.

    `published` refines by the letter of the papers, see `session.click.ClickInteractor`. (BRS with
    its tiles always does; IPN has no refinement.)
    """
    found = model_named(model, kind="click")
    refine = found.refine if refine is None else refine
    config_for(refine)
    return _interactor(model, refine, budget, find_weights(model, _paths(weights)), published)


def load_propagator(model: str = PROPAGATION_MODEL, *, weights: Given = None) -> Propagator:
    """Propagation network, by name; arguments as for `load_engine`."""
    model_named(model, kind="propagation")
    return _propagator(model, find_weights(model, _paths(weights)))


@functools.cache
def _interactor(
    model: str, refine: str, budget: int | None, file: Path, published: bool
) -> NetworkInteractor:
    network, variables = _network(model, file)
    options: dict[str, Any] = {"name": model, "fingerprint": sha256(file)[:16], "refine": refine}
    if isinstance(network, IPN):
        return IPNInteractor(network, variables, **options)
    if getattr(network.config, "tiles", False):
        return BRSInteractor(network, variables, budget=budget, **options)
    return ClickInteractor(network, variables, budget=budget, published=published, **options)


@functools.cache
def _propagator(model: str, file: Path) -> Propagator:
    network, variables = _network(model, file)
    return (IPNPropagator if isinstance(network, IPN) else STMPropagator)(network, variables)


@functools.cache
def _network(model: str, file: Path) -> tuple[Any, Any]:
    return model_named(model).build(), load_weights(model, path=file)


def _paths(weights: Given) -> tuple[Path, ...]:
    if weights is None:
        return ()
    return (weights,) if isinstance(weights, Path) else tuple(weights)
