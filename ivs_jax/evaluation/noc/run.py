"""NoC: how many clicks of the robot until the mask is good enough (protocol of BRS and f-BRS).

Per object: the prediction starts empty; the robot clicks the largest error, the interactor answers
with all clicks so far and its last probability; stop at the target IoU or after `max_clicks`.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from ivs_jax.evaluation.click_dataset import ClickDataset, ClickSample
from ivs_jax.evaluation.noc import device as noc_device
from ivs_jax.evaluation.noc.click_loop import run_object
from ivs_jax.evaluation.noc.config import NocInteractor, NocRule, Outputs, noc_config
from ivs_jax.evaluation.noc.log import NocLog
from ivs_jax.evaluation.noc.record import NocReport, ObjectResult, summarise
from ivs_jax.evaluation.noc.report import write_noc
from ivs_jax.evaluation.noc.samples import Samples, as_samples
from ivs_jax.evaluation.report.files import device_description

LOG = "progress.jsonl"


def run_noc(
    dataset: ClickDataset | Iterable[ClickSample],
    interactor: NocInteractor,
    rule: NocRule | None = None,
    outputs: Outputs | None = None,
    *,
    batch: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> NocReport:
    """Runs the click protocol over `dataset` and returns (and writes) the report.

    Args:
      dataset: objects with unique names.
      interactor: the system under test.
      rule: default: the robot's clicks until an IoU of 90 %, 20 at most.
      batch: this many objects at once, the robot on the device too (`device`); for a
        `session.click.ClickInteractor`. Without it objects are clicked one after the other.
      progress: called with (objects done, objects in all, name).

    Objects that cannot be measured (no object in the mask, sizes that differ, unreadable files,
    input that the interactor rejects with ValueError) are listed in `skipped`, in no mean.
    Raises ValueError when nothing could be measured, or for an `out` of another configuration.

    >>> from ivs_jax.evaluation.click_dataset import ClickSample
    >>> from ivs_jax.evaluation.noc import NocRule, run_noc
    >>> from ivs_jax.session.build import load_interactor
    >>> image = np.asarray(Image.open("image.png"))
    >>> mask = np.zeros((96, 160), bool)
    >>> mask[4:28, 16:40] = True
    >>> interactor = load_interactor("click-small", refine="f-BRS-B")
    >>> sample = ClickSample("square", image, mask, ignore=None)
    >>> report = run_noc([sample], interactor, NocRule(max_clicks=20))
    >>> report.objects, sorted(report.noc)  # NoC@80, NoC@85 and NoC@90
    (1, ['80', '85', '90'])
    """
    rule, outputs = rule or NocRule(), outputs or Outputs()
    if batch is not None and rule.replay is not None:
        raise ValueError("a batch cannot replay clicks: leave one of them out")
    samples = as_samples(dataset)
    config = noc_config(samples.name, interactor, rule)
    log = None if outputs.out is None else NocLog(outputs.out / LOG, config)
    done = log.done if log else {}
    if batch is None:
        jobs = _one_by_one(samples, interactor, rule, done)
    else:
        jobs = _batched(samples, interactor, rule, done, batch)
    found: dict[str, ObjectResult] = {}
    for result in jobs:
        found[result.name] = result
        if log:
            log.add(result)
        if progress:
            progress(len(found), len(samples), result.name)
    results = [found[name] for name in samples.names]  # batches finish in another order
    unpaired = [ObjectResult(name, skipped=reason) for name, reason in samples.skipped]
    report = summarise([*results, *unpaired], config, device=device_description(), batch=batch)
    write_noc(report, results, samples, outputs)
    if log:
        log.path.unlink()  # finished: the next run measures afresh
    return report


def _one_by_one(
    samples: Samples, interactor: NocInteractor, rule: NocRule, done: dict[str, ObjectResult]
) -> Iterator[ObjectResult]:
    """Results in the order of the data set, those `done` before taken from there."""
    for index, name in enumerate(samples.names):
        if name in done:
            yield done[name]
            continue
        start = time.perf_counter()
        try:
            sample = samples[index]
        except ValueError as error:
            yield ObjectResult(name, skipped=str(error))
            continue
        result = run_object(sample, interactor, rule)
        result.seconds = time.perf_counter() - start
        yield result


def _batched(
    samples: Samples,
    interactor: NocInteractor,
    rule: NocRule,
    done: dict[str, ObjectResult],
    batch: int,
) -> Iterator[ObjectResult]:
    """Results in the order in which they are finished, those `done` before first."""
    yield from (done[name] for name in samples.names if name in done)
    left = [index for index, name in enumerate(samples.names) if name not in done]
    yield from noc_device.measure_batches(samples, left, interactor, rule, batch=batch)
