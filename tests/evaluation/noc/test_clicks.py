"""Clicks of a NoC run: saved, read, run again; runs compared."""

import json

import numpy as np
import pytest
from PIL import Image

from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
from ivs_jax.evaluation.noc import device as noc_device
from ivs_jax.evaluation.noc.click_loop import run_object
from ivs_jax.evaluation.noc.clicks import read_clicks
from ivs_jax.evaluation.noc.compare import compare_reports
from ivs_jax.evaluation.noc.config import noc_config
from ivs_jax.evaluation.noc.record import ObjectResult, summarise
from ivs_jax.models.brs import ClickNet
from ivs_jax.refine.config import RefineConfig
from ivs_jax.session.click import ClickInteractor
from ivs_jax.types import Interaction
from tests.tiny import CLICK


def blob(name, seed):
    """A noisy disc, `[H, W, 3]`, whose red channel holds the truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :40]
    mask = np.hypot(y - 16, x - 20) < rng.uniform(8, 14)
    image = rng.integers(0, 100, (32, 40, 3)).astype(np.uint8)
    image[..., 0] = mask * np.uint8(255)
    return ClickSample(name, image, mask)


DATA = [blob("a", 1), blob("b", 2), blob("c", 3)]


class Brush:
    """The truth inside discs around the clicks; depends on every click and on the last answer."""

    name, refine, threshold, fingerprint = "brush", "NoBRS", 0.5, "w"
    config: RefineConfig | None = None

    def __init__(self, radius=7.0):
        self.radius, self.seen = radius, []

    def predict(self, image, clicks, previous):
        truth = image[..., 0] > 128
        n = int((np.asarray(clicks.label) >= 0).sum())
        self.seen.append(n)
        y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
        p = np.zeros(truth.shape, np.float32) if previous is None else previous.copy()
        cx, cy = np.asarray(clicks.xy)[n - 1]
        near = np.hypot(y - cy, x - cx) < self.radius
        p[near] = truth[near]
        return Interaction(p, 0, 0.0, np.ones(n, bool), {})


def test_clicks_run_again_give_the_same_ious(tmp_path):
    file = tmp_path / "deep" / "clicks.jsonl"
    first = run_noc(DATA, Brush(), outputs=Outputs(tmp_path / "robot", clicks=file))
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["name"] for record in records] == ["a", "b", "c"]
    assert all(len(r["clicks"]) == len(r["ious"]) > 1 for r in records)
    second = run_noc(
        DATA,
        Brush(),
        NocRule(replay=read_clicks(file)),
        Outputs(tmp_path / "replay", clicks=tmp_path / "again.jsonl"),
    )
    assert (tmp_path / "again.jsonl").read_text() == file.read_text()
    assert second.mean_iou == first.mean_iou and second.noc == first.noc
    assert first.replay == "" and len(second.replay) == 16
    page = (tmp_path / "replay" / "report.md").read_text()
    assert "no robot" in page and "no robot" not in (tmp_path / "robot/report.md").read_text()


def test_a_replay_runs_past_the_target_and_only_its_own_objects(tmp_path):
    clicks = {"a": [(20, 16, 1), (1, 1, 0), (2, 2, 0)], "c": [(20, 16, 1)]}
    brush = Brush(radius=40)  # right with the first click
    report = run_noc(DATA, brush, NocRule(replay=clicks))
    assert brush.seen == [1, 2, 3, 1] and report.objects == 2 and report.clicks == 4
    assert report.skipped == [{"name": "b", "reason": "no clicks to replay, expected 1 to 20"}]


def test_clicks_that_do_not_fit_are_listed():
    clicks = {"a": [(20, 16, 1), (40, 3, 0)], "b": [(3, -1, 1)], "c": [(20, 16, 1)] * 3}
    clicks["d"] = [(20, 16, 1)]
    report = run_noc([*DATA, blob("d", 4)], Brush(), NocRule(max_clicks=2, replay=clicks))
    reasons = {entry["name"]: entry["reason"] for entry in report.skipped}
    assert reasons == {
        "a": "click 2 at (40, 3) is outside the image of 40 x 32",
        "b": "click 1 at (3, -1) is outside the image of 40 x 32",
        "c": "3 clicks to replay, expected 1 to 2",
    }
    assert report.objects == 1


def test_a_resumed_run_saves_all_clicks_and_no_other_clicks_resume_it(tmp_path):
    class Stops(Brush):
        def predict(self, image, clicks, previous):
            if len(self.seen) == 6:
                raise KeyboardInterrupt
            return super().predict(image, clicks, previous)

    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    run_noc(DATA, Brush(), outputs=Outputs(clicks=whole))
    with pytest.raises(KeyboardInterrupt):
        run_noc(DATA, Stops(), outputs=Outputs(tmp_path / "run"))
    assert 1 < len((tmp_path / "run" / "progress.jsonl").read_text().splitlines()) < 4
    with pytest.raises(ValueError, match=r"progress.jsonl: left by a run of"):
        run_noc(DATA, Brush(), NocRule(replay=read_clicks(whole)), Outputs(tmp_path / "run"))
    again = Brush()
    run_noc(DATA, again, outputs=Outputs(tmp_path / "run", clicks=part))
    assert part.read_text() == whole.read_text()
    assert len(again.seen) < sum(len(c) for c in read_clicks(whole).values())


def test_a_resumed_batched_run_measures_the_rest_and_gives_the_same_report(tmp_path, monkeypatch):
    """The device's part in the place of which results come one by one, the last first."""
    asked = []

    def backwards(samples, indices, interactor, rule, *, batch):
        asked.append((list(indices), batch))
        for index in reversed(asked[-1][0]):
            yield run_object(samples[index], interactor, rule)

    monkeypatch.setattr(noc_device, "measure_batches", backwards)
    whole, part, run = tmp_path / "whole.jsonl", tmp_path / "part.jsonl", tmp_path / "run"
    report = run_noc(DATA, Brush(), outputs=Outputs(clicks=whole))
    with pytest.raises(KeyboardInterrupt):
        run_noc(DATA, Brush(), outputs=Outputs(run), batch=2, progress=lambda *_: interrupt())
    assert len((run / "progress.jsonl").read_text().splitlines()) == 2
    done: list[str] = []
    outputs = Outputs(run, clicks=part)
    again = run_noc(DATA, Brush(), outputs=outputs, batch=2, progress=lambda *a: done.append(a[2]))
    assert asked == [([0, 1, 2], 2), ([0, 1], 2)] and done == ["c", "b", "a"]
    assert again.noc == report.noc and again.mean_iou == report.mean_iou
    assert part.read_text() == whole.read_text() and (again.batch, report.batch) == (2, None)
    names = [line.split(",")[0] for line in (run / "per_object.csv").read_text().splitlines()]
    assert names == ["name", "a", "b", "c"]
    with pytest.raises(ValueError, match="a batch cannot replay clicks"):
        run_noc(DATA, Brush(), NocRule(replay=read_clicks(part)), batch=2)


def test_a_budget_is_named_in_the_report_and_guards_the_log(tmp_path):
    net = ClickNet(CLICK)
    few, published = Brush(), Brush()
    ours = {"max_evaluations": 3, "keep": "satisfied", "min_clicks": 1}  # as in a session
    for brush, budget, options in ((few, 3, ours), (published, None, {})):
        brush.refine = "f-BRS-B"
        brush.config = ClickInteractor(
            net, {}, refine=brush.refine, budget=budget, published=budget is None
        ).config
        assert noc_config("data", brush, NocRule()).options == options
    with pytest.raises(KeyboardInterrupt):
        run_noc(DATA, few, outputs=Outputs(tmp_path), progress=lambda *_: interrupt())
    with pytest.raises(ValueError, match=r"progress.jsonl: left by a run of .*max_evaluations"):
        run_noc(DATA, published, outputs=Outputs(tmp_path))
    run_noc(DATA, few, outputs=Outputs(tmp_path))
    assert "refinement f-BRS-B, max_evaluations 3" in (tmp_path / "report.md").read_text()


def test_a_log_of_another_version_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_noc(DATA, Brush(), outputs=Outputs(tmp_path), progress=lambda *_: interrupt())
    log = tmp_path / "progress.jsonl"
    log.write_text(log.read_text().replace('"satisfied"', '"agreed"'))
    with pytest.raises(ValueError, match=r"progress.jsonl: left by another version .*agreed"):
        run_noc(DATA, Brush(), outputs=Outputs(tmp_path))


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Expecting"),
        ("[1, 2]", r"line 2: expected an object with a name, found \[1, 2\]"),
        ('{"clicks": [[1, 2, 1]]}', "line 2: expected an object with a name"),
        ('{"name": "b"}', "line 2: expected clicks .*found null"),
        ('{"name": "b", "clicks": []}', r"line 2: expected clicks .*found \[\]"),
        ('{"name": "b", "clicks": [[1, 2]]}', r"line 2: expected \[x, y, label\].*\[1, 2\]"),
        ('{"name": "b", "clicks": [[1, 2.5, 1]]}', "whole pixels.*2.5"),
        ('{"name": "b", "clicks": [[1, 2, 3]]}', "label 1 or 0"),
        ('{"name": "b", "clicks": [[1, 2, true]]}', "label 1 or 0"),
        ('{"name": "a", "clicks": [[1, 2, 1]]}', "line 2: 'a' for the second time"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, message):
    file = tmp_path / "clicks.jsonl"
    file.write_text('{"name": "a", "clicks": [[1, 2, 1]]}\n' + line + "\n")
    with pytest.raises(ValueError, match=f"clicks.jsonl: .*{message}"):
        read_clicks(file)


def test_files_that_hold_no_clicks(tmp_path):
    file = tmp_path / "clicks.jsonl"
    file.write_text("\n\n")
    with pytest.raises(ValueError, match=r"clicks.jsonl: no clicks"):
        read_clicks(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"clicks.jsonl: expected JSON lines, found no text"):
        read_clicks(file)
    with pytest.raises(OSError, match="none.jsonl"):
        read_clicks(tmp_path / "none.jsonl")


def test_a_report_has_the_promised_fields(tmp_path):
    run_noc(DATA, Brush(), outputs=Outputs(tmp_path))
    report = json.loads((tmp_path / "report.json").read_text())
    promised = "dataset model refine objects noc failures mean_iou spc evaluations device"
    assert set(promised.split()) <= set(report)
    assert set(report["noc"]) == set(report["failures"]) == {"80", "85", "90"}
    assert set(report["spc"]) == {"compile", "warm"} and len(report["mean_iou"]) == 20


def test_compilation_is_not_in_the_seconds_per_click():
    ious = [0.1, 0.2, 0.3, 0.95]
    result = ObjectResult("a", [(1, 1, 1)] * 4, ious, [True] * 4, [2] * 4, 12.0, 10.0)
    config = noc_config("data", Brush(), NocRule())
    report = summarise([result], config, device="cpu")
    assert report.spc == {"compile": 10.0, "warm": 0.5}


def test_reports_side_by_side(tmp_path):
    for radius in (5.0, 9.0):
        brush = Brush(radius)
        brush.refine = f"r{radius:.0f}"
        run_noc(DATA, brush, outputs=Outputs(tmp_path / brush.refine))
    run_noc(DATA, Brush(5.0), NocRule(target=0.85), Outputs(tmp_path / "low"))
    run_noc(DATA[:2], Brush(9.0), outputs=Outputs(tmp_path / "two"))
    files = [tmp_path / name / "report.json" for name in ("r5", "r9", "low", "two")]
    page = compare_reports(files[:2], tmp_path / "same")
    assert "| brush r5 | unnamed | 3 |" in page and "care" not in page
    page = compare_reports(files, tmp_path / "all")
    assert "| brush NoBRS (low) |" in page and "| brush NoBRS (two) | unnamed | 2 |" in page
    low = next(line for line in page.splitlines() if "(low)" in line)
    assert " - " in low  # no NoC@90 in a run that stopped at 85 %
    assert "The runs differ in objects: compare with care." in page
    assert (tmp_path / "all" / "compare.md").read_text().startswith(page)
    with Image.open(tmp_path / "all" / "compare.png") as figure:
        assert figure.size[0] > 300


def test_what_is_no_report_is_named(tmp_path):
    file = tmp_path / "report.json"
    for text, message in (
        ("{", "not JSON"),
        ("[]", "found no 'dataset'"),
        ('{"dataset": "x"}', "found no 'model'"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=f"{file}: .*{message}"):
            compare_reports([file], tmp_path)
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_reports([], tmp_path)
    with pytest.raises(OSError, match="none.json"):
        compare_reports([tmp_path / "none.json"], tmp_path)
