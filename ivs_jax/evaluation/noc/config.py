"""What a NoC run is given and writes, and the fields that make two runs comparable."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ivs_jax.refine.config import MODES, RefineConfig
from ivs_jax.session.click import ClickInteractor
from ivs_jax.types import Clicks, Interaction

Click = tuple[int, int, int]  # x, y, label
ClicksByName = Mapping[str, Sequence[Click]]


class NocInteractor(Protocol):
    """What is measured.

    Attributes:
      name, refine: of the network and of the refinement mode.
      config: of the refinement; None without any.
      threshold: the mask is where the probability is above it: 0.5 for BRS, 0.49 for f-BRS.
      fingerprint: changes with the weights; guards the log of an interrupted run.
    """

    name: str
    refine: str
    threshold: float
    fingerprint: str

    @property
    def config(self) -> RefineConfig | None: ...

    def predict(
        self, image: np.ndarray, clicks: Clicks, previous: np.ndarray | None
    ) -> Interaction: ...


@dataclass(frozen=True)
class NocRule:
    """An object is clicked until its mask reaches the IoU `target`, at most `max_clicks` times.

    With `replay` exactly its clicks are made in place of the robot's, past the target too; see
    `clicks.read_clicks`. Objects without any are skipped.
    """

    max_clicks: int = 20
    target: float = 0.90
    replay: ClicksByName | None = None

    def __post_init__(self) -> None:
        if self.max_clicks < 1 or not 0 < self.target <= 1:
            raise ValueError(
                "expected max_clicks >= 1 and 0 < target <= 1, "
                f"found max_clicks={self.max_clicks}, target={self.target}"
            )


@dataclass(frozen=True)
class Outputs:
    """What a run writes; nothing for None.

    Attributes:
      out: folder for report.json, report.md, per_object.csv and curve.png. While the run goes on it
        holds one line per finished object, from which an interrupted run resumes.
      page: folder for report.html.
      clicks: file for the clicks of the run, see `clicks`.
    """

    out: Path | None = None
    page: Path | None = None
    clicks: Path | None = None


@dataclass(frozen=True)
class NocConfig:
    """The first fields of report.json; a run resumes only a log of the same.

    Attributes:
      options: settings of the refinement that differ from the published ones.
      replay: digest of the given clicks; empty where the robot clicked.
    """

    dataset: str
    model: str
    refine: str
    options: dict[str, Any]
    weights: str
    max_clicks: int
    target: float
    threshold: float
    replay: str


def noc_config(dataset: str, interactor: NocInteractor, rule: NocRule) -> NocConfig:
    """The fields of a run on the data set of that name."""
    return NocConfig(
        dataset=dataset,
        model=interactor.name,
        refine=interactor.refine,
        options=non_default_settings(interactor),
        weights=interactor.fingerprint,
        max_clicks=rule.max_clicks,
        target=rule.target,
        threshold=interactor.threshold,
        replay="" if rule.replay is None else digest(rule.replay),
    )


def non_default_settings(interactor: NocInteractor) -> dict[str, Any]:
    """The settings of a refinement that differ from the published ones of its mode."""
    config = interactor.config
    if config is None or config.mode not in MODES:
        return {}
    published = asdict(MODES[config.mode])
    found = {key: value for key, value in asdict(config).items() if value != published[key]}
    if isinstance(interactor, ClickInteractor):  # not in the `PublishedProtocol`
        found["warm_start"] = False
    return found


def digest(value: Mapping[str, Any]) -> str:
    """A short name for the content of `value`."""
    return hashlib.sha256(json.dumps(dict(value), sort_keys=True).encode()).hexdigest()[:16]
