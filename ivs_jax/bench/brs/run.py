"""How fast a click is refined, mode by mode, and against other solvers on the same objective.

    ivs bench brs
    ivs bench brs --data FOLDER --objects 100 --mode BRS --mode f-BRS-B --out FOLDER

Of every mode: the phases of a click, the energy that three solvers reach with the same number of
network evaluations and their times, and the clicks a second when several are refined as one batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy

from ivs_jax.bench.brs.batch import Batch, measure_batches
from ivs_jax.bench.brs.phases import EVALUATION, FORWARD, Phases, measure_phases
from ivs_jax.bench.brs.problem import Problem
from ivs_jax.bench.brs.solvers import BARE, OURS, SCIPY, SOLVERS, Solvers, Trace
from ivs_jax.bench.brs.tasks import DEMO, Task, make_tasks
from ivs_jax.evaluation.report.files import device_description
from ivs_jax.refine.config import MODES, RefineConfig, config_for

BATCH_SIZES = (1, 4, 16)
BUDGET = 20
TIMED = 10  # so many tasks have times; all have energies


@dataclass(frozen=True)
class SolverFigures:
    """One solver over all tasks.

    Attributes:
      energies: median over the tasks of the lowest energy after 1, 2, ... evaluations.
      evaluation_ms: median wall time of the run for each of its evaluations, of `TIMED` tasks.
      evaluations: median number of evaluations before it ended by itself or was stopped.
      energy_ratio: median final energy over SciPy's.
      time_ratio: median over the tasks of its time over SciPy's, to the lowest energy both reach.
    """

    energies: list[float]
    evaluation_ms: float
    evaluations: float
    energy_ratio: float
    time_ratio: float


@dataclass(frozen=True)
class ModeFigures:
    """One mode.

    Attributes:
      mode: its name; `settings` are those of the solve, the budget included.
      variables: how many numbers are optimised.
      phases: what a click spends its time on, of `TIMED` tasks.
      evaluation_ratio, loop_ratio: time of an evaluation over that of a forward pass, outside and
        inside of a compiled loop.
      overhead: time of our solver beyond its evaluations, over these: against a bare loop of them.
      solvers: by name, at equal budgets and without early stop.
      batches: as many clicks refined at once; those that would take too long are left out.
    """

    mode: str
    settings: dict[str, Any]
    variables: int
    phases: Phases
    evaluation_ratio: float
    loop_ratio: float
    overhead: float
    solvers: dict[str, SolverFigures]
    batches: list[Batch]


@dataclass(frozen=True)
class BrsReport:
    """All of it; `asdict` of it is report.json."""

    model: str
    weights: str
    data: str
    objects: int
    side: int
    budget: int
    device: str
    versions: dict[str, str]
    modes: list[ModeFigures]


def run_brs(
    net: Any,
    variables: Any,
    *,
    name: str,
    fingerprint: str = "",
    modes: Sequence[str] = (),
    objects: int = 20,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    budget: int = BUDGET,
    data: Path | None = None,
    patience: float = 60.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BrsReport:
    """Measures `modes`, by default all that the network has.

    Args:
      net, variables: a click network with the methods of `models.brs.ClickNet`.
      name, fingerprint: of the network, for the report.
      objects: how many clicks to refine, each of another object.
      batch_sizes: of the vmapped solve, smallest first.
      budget: network evaluations for the comparison of solvers; in the phases a click may use as
        many, or the published limit of the mode if that is lower.
      data: a click data set; None takes the demo's clip.
      patience: seconds that a batch may take; larger ones are left out.
      progress: called with (stages done, stages in all).

    Raises ValueError for a network without refinement, an unknown mode, one whose tap the network
    does not have, or numbers below 1.
    """
    configs = [_config(net, name, mode, budget) for mode in modes or available_modes(net, name)]
    if min(batch_sizes, default=1) < 1 or budget < 2:
        raise ValueError(
            f"expected batch sizes >= 1 and a budget >= 2, found {list(batch_sizes)} and {budget}"
        )
    variables = jax.device_put(variables)
    tasks = make_tasks(net, variables, data=data, objects=objects)
    progress(1, 3 * len(configs) + 1)
    figures = []
    for index, config in enumerate(configs):
        done = 3 * index + 1

        def advance(stage: int, done: int = done) -> None:
            progress(done + stage, 3 * len(configs) + 1)

        figures.append(
            _measure(Problem(net, config), variables, tasks, batch_sizes, budget, patience, advance)
        )
    return BrsReport(
        model=name,
        weights=fingerprint,
        data=DEMO if data is None else Path(data).resolve().name,
        objects=len(tasks),
        side=net.config.input_size,
        budget=budget,
        device=device_description(),
        versions={m.__name__: m.__version__ for m in (jax, optax, scipy)},
        modes=figures,
    )


def available_modes(net: Any, name: str) -> list[str]:
    """The refinement modes that a network has; ValueError if none."""
    taps = getattr(net.config, "taps", None)
    if taps is None:
        raise ValueError(f"{name} has no refinement of clicks to measure")
    return [m for m, config in MODES.items() if config.variable != "features" or m in taps]


def compare(traces: Sequence[dict[str, Trace]], budget: int) -> dict[str, SolverFigures]:
    """Figures of each solver from its traces, one dictionary a task."""
    best = {s: np.stack([task[s].best(budget) for task in traces]) for s in SOLVERS}
    seconds = {s: np.array([task[s].seconds for task in traces]) for s in SOLVERS}
    timed = np.all([np.isfinite(seconds[s]) for s in SOLVERS], 0)

    def figures(solver: str) -> SolverFigures:
        goal = np.maximum(best[solver][:, -1], best[SCIPY][:, -1])[:, None]
        needed = {s: np.argmax(best[s] <= goal, 1) + 1 for s in (solver, SCIPY)}
        spent = {s: (needed[s] * seconds[s])[timed] for s in needed}
        finals = [float(np.median(best[s][:, -1])) for s in (solver, SCIPY)]
        return SolverFigures(
            energies=np.median(best[solver], 0).tolist(),
            evaluation_ms=1e3 * float(np.median(seconds[solver][timed])),
            evaluations=float(np.median([len(task[solver].energies) for task in traces])),
            energy_ratio=finals[0] / finals[1],
            time_ratio=float(np.median(spent[solver] / spent[SCIPY])),
        )

    return {solver: figures(solver) for solver in SOLVERS}


def _measure(
    problem: Problem,
    variables: Any,
    tasks: Sequence[Task],
    batch_sizes: Sequence[int],
    budget: int,
    patience: float,
    advance: Callable[[int], None],
) -> ModeFigures:
    phases = measure_phases(problem, variables, tasks[:TIMED])
    advance(1)
    solvers, once = Solvers(problem, variables, budget=budget), jax.jit(problem.once)
    prepared = [once(variables, *task.inputs) for task in tasks]
    solvers.warm(prepared[0])
    traces = [solvers.traces(given, timed=i < TIMED) for i, given in enumerate(prepared)]
    advance(2)
    batches = []
    if batch_sizes:
        few = tasks[: max(batch_sizes)]
        batches = measure_batches(problem, variables, few, batch_sizes, patience=patience)
    advance(3)
    forward = phases.ms[FORWARD].p50
    start = jax.tree.leaves(problem.start(prepared[0]))
    return ModeFigures(
        mode=problem.config.mode,
        settings=asdict(problem.config),
        variables=sum(int(jnp.size(leaf)) for leaf in start),
        phases=phases,
        evaluation_ratio=phases.ms[EVALUATION].p50 / forward,
        loop_ratio=1e3 * float(np.median([t[BARE].seconds for t in traces[:TIMED]])) / forward,
        overhead=float(np.median([t[OURS].seconds / t[BARE].seconds for t in traces[:TIMED]])) - 1,
        solvers=compare(traces, budget),
        batches=batches,
    )


def _config(net: Any, name: str, mode: str, budget: int) -> RefineConfig:
    config = config_for(mode)
    legal = available_modes(net, name)
    if config is None or mode not in legal:
        raise ValueError(f"{name} has no refinement {mode}, expected one of {', '.join(legal)}")
    return replace(config, max_evaluations=min(budget, config.max_evaluations))
