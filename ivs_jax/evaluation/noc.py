"""NoC: how many clicks of the robot until the mask is good enough (protocol of BRS and f-BRS).

Per object: the prediction starts empty; the robot clicks the largest error, the interactor answers
with all clicks so far and its last probability; stop at the target IoU or after `max_clicks`.
Given clicks (`replay`) take the place of the robot's and are run to their end.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ivs_jax.evaluation import noc_device
from ivs_jax.evaluation.click_dataset import ClickSample, open_click_dataset
from ivs_jax.evaluation.noc_clicks import ClicksByName, write_clicks
from ivs_jax.evaluation.noc_config import noc_config
from ivs_jax.evaluation.noc_log import NocLog
from ivs_jax.evaluation.noc_page import write_noc_page
from ivs_jax.evaluation.noc_report import NocReport, Trial, summarise, write_report
from ivs_jax.evaluation.noc_trial import ClickInteractor, run_trial
from ivs_jax.evaluation.page import PAGE
from ivs_jax.evaluation.report import device_description

__all__ = ["NocReport", "Trial", "open_click_dataset", "run_noc", "run_trial"]

LOG = "progress.jsonl"


def run_noc(
    dataset: Sequence[ClickSample] | Iterable[ClickSample],
    interactor: ClickInteractor,
    *,
    limit: int | None = None,
    max_clicks: int = 20,
    target: float = 0.90,
    out: str | Path | None = None,
    page: str | Path | None = None,
    workers: int = 1,
    batch: int | None = None,
    replay: ClicksByName | None = None,
    save_clicks: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> NocReport:
    """Runs the click protocol over `dataset` and returns (and writes) the report.

    Args:
      dataset: `(name, image, mask, ignore)` per object, see `ClickSample`; names are unique.
      interactor: the system under test; with `workers` > 1 it must be safe to call from threads.
      limit: only the first so many objects.
      out: folder for report.json, report.md, per_object.csv and curve.png. While the run goes on
        it holds one line per finished object, from which an interrupted run resumes.
      page: folder for report.html, see `noc_page`.
      batch: this many objects at once, the robot on the device too (`noc_device`); for a
        `session.click.ClickInteractor`. Without it objects are clicked one after the other.
      replay: clicks of each object instead of the robot's, see `noc_clicks.read_clicks`; objects
        without any are skipped.
      save_clicks: file for the clicks of this run, see `noc_clicks`.
      progress: called with (objects done, objects in all, name).

    Objects that cannot be measured (no object in the mask, sizes that differ, unreadable files,
    input that the interactor rejects with ValueError) are listed in `skipped`, in no mean.
    Raises ValueError when nothing could be measured, or for an `out` of another configuration.

    >>> from ivs_jax.evaluation.noc import run_noc
    >>> from ivs_jax.session.build import load_interactor
    >>> image = np.asarray(Image.open("image.png"))
    >>> mask = np.zeros((96, 160), bool)
    >>> mask[4:28, 16:40] = True
    >>> interactor = load_interactor("click-small", refine="f-BRS-B")
    >>> report = run_noc([("square", image, mask, None)], interactor, max_clicks=20)
    >>> report.objects, sorted(report.noc)  # NoC@80, NoC@85 and NoC@90
    (1, ['80', '85', '90'])
    """
    if max_clicks < 1 or not 0 < target <= 1 or workers < 1:
        raise ValueError(
            "expected max_clicks >= 1, 0 < target <= 1, workers >= 1, found "
            f"max_clicks={max_clicks}, target={target}, workers={workers}"
        )
    if batch is not None and (workers > 1 or replay is not None):
        raise ValueError("batch goes with neither workers nor replay: leave one of them out")
    samples = dataset if isinstance(dataset, Sequence) else list(dataset)
    total = len(samples) if limit is None else min(limit, len(samples))
    config = noc_config(dataset, interactor, max_clicks=max_clicks, target=target, replay=replay)
    log = NocLog(Path(out) / LOG, config) if out is not None else None
    trials: list[Trial] = []
    seen: set[str] = set()
    if batch is None:
        jobs = _measure(samples, total, interactor, log, max_clicks, target, workers, replay)
    else:
        jobs = _measure_batches(samples, total, interactor, log, max_clicks, target, batch)
    for trial in jobs:
        if trial.name in seen:
            raise ValueError(f"object name {trial.name!r} occurs twice, expected unique names")
        seen.add(trial.name)
        trials.append(trial)
        if log:
            log.add(trial)
        if progress:
            progress(len(trials), total, trial.name)
    if batch is not None:  # finished in another order
        place = {name: i for i, name in enumerate(_names(samples))}
        trials.sort(key=lambda trial: place.get(trial.name, total))
    unpaired = [Trial(name, skipped=reason) for name, reason in getattr(dataset, "skipped", ())]
    report = summarise(
        trials + unpaired, config, workers=workers, batch=batch, device=device_description()
    )
    if out is not None:
        write_report(report, trials, Path(out))
    if page is not None:
        places = {name: place for place, name in enumerate(_names(samples))}
        write_noc_page(
            Path(page) / PAGE, report, trials, lambda name: ClickSample(*samples[places[name]])
        )
    if save_clicks is not None:
        write_clicks(save_clicks, trials)
    if log:
        log.path.unlink()  # finished: the next run measures afresh
    return report


def _measure(
    samples: Sequence[ClickSample],
    total: int,
    interactor: ClickInteractor,
    log: NocLog | None,
    max_clicks: int,
    target: float,
    workers: int,
    replay: ClicksByName | None,
) -> Iterator[Trial]:
    """Trials in the order of the data set, those of the log taken from there."""
    names = getattr(samples, "names", None)

    def measure(index: int) -> Trial:
        if log and names and names[index] in log.done:
            return log.done[names[index]]
        start = time.perf_counter()
        try:
            sample = ClickSample(*samples[index])
        except ValueError as error:
            return Trial(names[index] if names else f"object {index}", skipped=str(error))
        if log and sample.name in log.done:
            return log.done[sample.name]
        clicks = None if replay is None else replay.get(sample.name, ())
        trial = run_trial(sample, interactor, max_clicks=max_clicks, target=target, replay=clicks)
        trial.seconds = time.perf_counter() - start
        return trial

    if workers == 1:
        yield from map(measure, range(total))
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(measure, range(total))
    finally:
        pool.shutdown(cancel_futures=True)


def _measure_batches(
    samples: Sequence[ClickSample],
    total: int,
    interactor: ClickInteractor,
    log: NocLog | None,
    max_clicks: int,
    target: float,
    batch: int,
) -> Iterator[Trial]:
    """Trials in the order in which they are finished, those of the log first."""
    names = _names(samples)[:total]
    done = log.done if log else {}
    yield from (done[name] for name in names if name in done)
    left = [index for index, name in enumerate(names) if name not in done]
    yield from noc_device.measure_batches(
        samples, left, interactor, max_clicks=max_clicks, target=target, batch=batch
    )


def _names(samples: Sequence[ClickSample]) -> list[str]:
    return list(getattr(samples, "names", None) or (sample[0] for sample in samples))
