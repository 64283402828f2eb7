"""How efficient is refinement? NoC and seconds per click against the budget of evaluations.

    python experiments/brs_noc.py --data DATA/stills/coco_mval --limit 100

Every mode is measured by its published protocol with several budgets, and once the network
without refinement. A budget
above the published limit of a mode is left out, as it would change nothing. `--data` is a click
data set as for `ivs eval noc`. Each point is a report folder in `--runs`; those that are there
already are not measured again, so a stopped run goes on with the same command.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ivs_jax.allocator import keep_freed_memory
from ivs_jax.bench.brs.run import available_modes
from ivs_jax.cache import enable_compilation_cache
from ivs_jax.cli.show import progress_bar
from ivs_jax.evaluation.click_dataset import open_click_dataset
from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
from ivs_jax.evaluation.report.files import (
    device_description,
    write_figure,
    write_json,
    write_text,
)
from ivs_jax.evaluation.report.markdown import to_markdown
from ivs_jax.evaluation.report.sections import Section
from ivs_jax.models import model_named
from ivs_jax.refine.config import NO_REFINEMENT, config_for
from ivs_jax.session.build import load_interactor
from ivs_jax.session.protocol import as_published

BUDGETS = (2, 5, 20, 60)
KEPT = ("noc", "failures", "satisfied", "evaluations", "spc", "objects", "clicks", "device")


def points(modes: list[str], budgets: list[int]) -> list[tuple[str, int]]:
    """(mode, budget) of all that is to be measured; without refinement the budget is 0."""
    found = [(NO_REFINEMENT, 0)]
    for mode in modes:
        config = config_for(mode)
        if config is None:
            raise ValueError(f"{mode} needs no budget and is always measured")
        limit = config.max_evaluations
        found += [(mode, budget) for budget in sorted(budgets) if budget <= limit]
    return found


def measure(dataset: Any, model: str, mode: str, budget: int, args: Any) -> dict[str, Any]:
    """One point: the report of `run_noc`, from its folder if it is there."""
    interactor = load_interactor(model, refine=mode, budget=budget or None, published=True)
    protocol = as_published(interactor)
    objects = len(dataset) if args.limit is None else min(args.limit, len(dataset))
    folder = args.runs / f"{dataset.name}_{model}_{objects}x{args.clicks}" / f"{mode}_{budget}"
    file = folder / "report.json"
    if file.is_file():
        report = json.loads(file.read_text(encoding="utf-8"))
        if report["weights"] == protocol.fingerprint:
            return report
    with progress_bar(f"{mode} {budget}") as advance:
        return asdict(
            run_noc(
                dataset[: args.limit],
                protocol,
                NocRule(max_clicks=args.clicks),
                Outputs(folder),
                progress=lambda done, total, _: advance(done, total),
            )
        )


def as_markdown(results: dict[str, Any]) -> str:
    rows = [
        [
            point["mode"],
            point["budget"] or "",
            *(f"{point['noc'][level]:.2f}" for level in ("80", "85", "90")),
            point["failures"]["90"],
            f"{100 * point['satisfied']:.1f} %",
            f"{point['evaluations']:.2f}",
            f"{point['spc']['warm']:.3f}",
        ]
        for point in results["points"]
    ]
    header = ["mode", "budget", "NoC@80", "NoC@85", "NoC@90", "never reached 90 %"]
    header += ["all clicks obeyed", "evaluations a click", "s a click"]
    first = results["points"][0]
    about = (
        f"{results['model']}, {first['objects']} objects, at most {results['max_clicks']} clicks "
        f"each; {results['device']}. Budget: most network evaluations of a solve."
    )
    title = f"NoC against the budget of refinement on {results['dataset']}"
    return to_markdown(title, [Section(text=about, table=(header, rows))])


def figure_of(results: dict[str, Any], level: str = "90") -> Figure:
    """NoC against the budget and against the seconds of a click, a line a mode."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    by_budget, by_time = figure.subplots(1, 2, sharey=True)
    plain, *others = results["points"]
    by_budget.axhline(plain["noc"][level], color="grey", linestyle="--", label=plain["mode"])
    by_time.plot(plain["spc"]["warm"], plain["noc"][level], "s", color="grey", label=plain["mode"])
    for mode in dict.fromkeys(point["mode"] for point in others):
        line = [point for point in others if point["mode"] == mode]
        noc = [point["noc"][level] for point in line]
        by_budget.plot([point["budget"] for point in line], noc, "o-", label=mode)
        by_time.plot([point["spc"]["warm"] for point in line], noc, "o-", label=mode)
        for point in line:
            at = (point["spc"]["warm"], point["noc"][level])
            by_time.annotate(str(point["budget"]), at, (4, 4), textcoords="offset points")
    budgets = sorted({point["budget"] for point in others})
    by_budget.set(xscale="log", xlabel="budget of network evaluations", ylabel=f"NoC@{level}")
    by_budget.set_xticks(budgets, [str(budget) for budget in budgets], minor=False)
    by_budget.minorticks_off()
    by_time.set(xlabel="seconds a click (numbers: budget)", xlim=(0, None))
    for axes in (by_budget, by_time):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"{results['model']} on {results['dataset']}, {plain['objects']} objects")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="click-small")
    parser.add_argument("--mode", nargs="+", help="default: all that the network has")
    parser.add_argument("--budget", nargs="+", type=int, default=list(BUDGETS))
    parser.add_argument("--limit", type=int, help="only the first so many objects")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--runs", type=Path, default=Path("runs/brs_noc"))
    parser.add_argument("--out", type=Path, default=Path("experiments/results/brs_noc"))
    args = parser.parse_args()

    keep_freed_memory()
    enable_compilation_cache()
    dataset = open_click_dataset(args.data)
    modes = args.mode or available_modes(model_named(args.model).build(), args.model)
    found = []
    for mode, budget in points(modes, args.budget):
        report = measure(dataset, args.model, mode, budget, args)
        found.append({"mode": mode, "budget": budget} | {name: report[name] for name in KEPT})
    results = {
        "dataset": dataset.name,
        "model": args.model,
        "max_clicks": args.clicks,
        "device": device_description(),
        "points": found,
    }
    write_json(args.out / "results.json", results)
    write_text(args.out / "report.md", as_markdown(results))
    write_figure(args.out / "curves.png", figure_of(results))
    print(as_markdown(results))


if __name__ == "__main__":
    main()
