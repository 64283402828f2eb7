"""What a NoC run measured: the fields that make two runs comparable, for its report and its log."""

from dataclasses import asdict
from typing import Any

from ivs_jax.evaluation.noc.clicks import ClicksByName
from ivs_jax.evaluation.noc.log import digest
from ivs_jax.refine.config import MODES, RefineConfig
from ivs_jax.session.click import ClickInteractor

DEFAULT_THRESHOLD = 0.5  # of BRS; f-BRS uses 0.49: an interactor says so in `threshold`


def noc_config(
    dataset: object,
    interactor: object,
    *,
    max_clicks: int,
    target: float,
    replay: ClicksByName | None = None,
) -> dict[str, Any]:
    """Fields of the same names of `record.NocReport`."""
    return {
        "dataset": str(getattr(dataset, "name", "unnamed")),
        "model": str(getattr(interactor, "name", type(interactor).__name__)),
        "refine": str(getattr(interactor, "refine", "")),
        "options": deviations(interactor),
        "weights": str(getattr(interactor, "fingerprint", "")),
        "max_clicks": max_clicks,
        "target": target,
        "threshold": threshold_of(interactor),
        "replay": "" if replay is None else digest(dict(replay)),
    }


def threshold_of(interactor: object) -> float:
    """The mask is where the probability is above this."""
    return float(getattr(interactor, "threshold", DEFAULT_THRESHOLD))


def deviations(interactor: object) -> dict[str, Any]:
    """The settings of a refinement that differ from the published ones of its mode."""
    config = getattr(interactor, "config", None)
    if not isinstance(config, RefineConfig) or config.mode not in MODES:
        return {}
    published = asdict(MODES[config.mode])
    found = {key: value for key, value in asdict(config).items() if value != published[key]}
    if isinstance(interactor, ClickInteractor):  # not in the `PublishedProtocol`
        found["warm_start"] = False
    return found
