"""What a NoC run measured, and its summary."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from ivs_jax.evaluation.noc.config import NocConfig
from ivs_jax.evaluation.region import Mean

LEVELS = (0.80, 0.85, 0.90)


@dataclass
class ObjectResult:
    """One object: a list entry per click, or the reason why it was skipped.

    Attributes:
      clicks: `(x, y, label)` per click.
      ious: IoU after each click.
      satisfied: after each click, does the mask agree with every click so far?
      evaluations: network evaluations of the refinement, per click.
      seconds: wall time with loading and robot; `compile_seconds` of it compiled programs.
    """

    name: str
    clicks: list[tuple[int, int, int]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    satisfied: list[bool] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    seconds: float = 0.0
    compile_seconds: float = 0.0
    skipped: str | None = None

    def reached(self, level: float) -> int | None:
        """Number of clicks until IoU >= level; None when it was never reached."""
        return next((i for i, value in enumerate(self.ious, 1) if value >= level), None)


@dataclass(frozen=True)
class NocReport(NocConfig):
    """Result of a NoC run; `asdict` of it is report.json.

    Attributes:
      objects: how many were measured; the skipped ones are not among them.
      noc: mean number of clicks to IoU >= 80/85/90 %, `max_clicks` where it was never reached.
        Levels above the target are absent (the run stopped before them).
      failures: how many objects never reached the level.
      at_cap: how many have NoC = `max_clicks`, the published ">=20@q" (reached at the last click
        or never).
      mean_iou: mean IoU after click 1, 2, ...; an object that stopped keeps its last value.
      satisfied: share of answers whose mask agrees with every click so far.
      evaluations: mean number of network evaluations of the refinement per click.
      spc: `warm`, seconds per click with loading and robot, without `compile`, the seconds that the
        interactor spent compiling in the whole run.
      batch: objects at once on the device; None where they came one after the other.
      skipped: `{"name", "reason"}` of every object that was not measured.
    """

    objects: int
    clicks: int
    noc: dict[str, float]
    failures: dict[str, int]
    at_cap: dict[str, int]
    mean_iou: list[float]
    satisfied: float
    evaluations: float
    spc: dict[str, float]
    batch: int | None
    device: str
    skipped: list[dict[str, str]]


def summarise(
    results: Sequence[ObjectResult], config: NocConfig, *, device: str, batch: int | None = None
) -> NocReport:
    """Means over the measured objects. Raises ValueError when there is none."""
    skipped = [{"name": r.name, "reason": r.skipped} for r in results if r.skipped]
    done = [result for result in results if not result.skipped]
    if not done:
        first = f"; first: {skipped[0]['name']}: {skipped[0]['reason']}" if skipped else ""
        raise ValueError(
            f"{config.dataset}: no object could be measured, {len(skipped)} skipped{first}"
        )
    cap = config.max_clicks
    levels = [level for level in LEVELS if level <= config.target]
    reached = {percent(q): [result.reached(q) for result in done] for q in levels}
    clicks = sum(len(result.ious) for result in done)
    compiled = sum(result.compile_seconds for result in done)
    return NocReport(
        **asdict(config),
        objects=len(done),
        clicks=clicks,
        noc={q: float(np.mean([n or cap for n in found])) for q, found in reached.items()},
        failures={q: sum(n is None for n in found) for q, found in reached.items()},
        at_cap={q: sum((n or cap) == cap for n in found) for q, found in reached.items()},
        mean_iou=np.mean([_carried(result.ious, cap) for result in done], axis=0).tolist(),
        satisfied=_mean(value for result in done for value in result.satisfied),
        evaluations=_mean(value for result in done for value in result.evaluations),
        spc={
            "compile": compiled,
            "warm": (sum(result.seconds for result in done) - compiled) / clicks,
        },
        batch=batch,
        device=device,
        skipped=skipped,
    )


def percent(level: float) -> str:
    """A level of IoU as reports name it: 0.85 -> "85"."""
    return str(round(100 * level))


def _carried(values: Sequence[float], length: int) -> list[float]:
    return [*values, *[values[-1]] * (length - len(values))]


def _mean(values: Iterable[float]) -> float:
    total = Mean()
    for value in values:
        total = total.add(value)
    return total.value
