"""The NoC protocol with interactors whose number of clicks is known by construction."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
from ivs_jax.types import Interaction


def sample(name="box", rows=10, shape=(20, 30)):
    """A box of `rows` x 20 pixels whose top row is in the blue channel: `[H, W, 3]`."""
    mask = np.zeros(shape, bool)
    mask[5 : 5 + rows, 5:25] = True
    image = np.zeros((*shape, 3), np.uint8)
    image[mask] = 255
    return ClickSample(name, image, mask)


class Growing:
    """Answers with the first n * step rows of the white box after n clicks."""

    name, refine, threshold, fingerprint = "growing", "NoBRS", 0.49, "w1"
    config = None

    def __init__(self, step=1, fail_at=None):
        self.step, self.fail_at, self.calls, self.previous = step, fail_at, [], []

    def predict(self, image, clicks, previous):
        assert image.dtype == np.uint8 and clicks.xy.shape == (32, 2)
        label = np.asarray(clicks.label)
        n = int((label >= 0).sum())
        self.calls.append(n)
        self.previous.append(previous)
        if self.fail_at == len(self.calls):
            raise KeyboardInterrupt
        mask = image[..., 0] > 0
        rows = np.flatnonzero(mask.any(1))[: n * self.step]
        probability = np.zeros(mask.shape, np.float32)
        probability[rows] = mask[rows] * 0.495  # above 0.49, below 0.5
        return Interaction(probability, 7, 0.0, np.ones(n, bool), {"compile": 1e-6})


def test_known_noc_by_construction(tmp_path):
    report = run_noc([sample("a"), sample("b")], Growing(), outputs=Outputs(tmp_path))
    assert report.noc == {"80": 8, "85": 9, "90": 9}
    assert report.failures == {"80": 0, "85": 0, "90": 0}
    assert report.mean_iou == pytest.approx([*np.arange(1, 10) / 10, *[0.9] * 11])
    assert report.objects == 2 and report.clicks == 18 and report.evaluations == 7
    assert report.spc["compile"] == pytest.approx(18e-6) and report.spc["warm"] > 0
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["noc"] == report.noc and written["model"] == "growing"
    assert "box" not in written["skipped"] and written["device"].startswith("cpu")
    rows = list(csv.DictReader((tmp_path / "per_object.csv").read_text().splitlines()))
    assert [row["noc85"] for row in rows] == ["9", "9"]
    assert len(rows[0]["clicks"].split()) == 9
    with Image.open(tmp_path / "curve.png") as curve:
        assert curve.size[0] > 300
    assert "| 85 % | 9.000 | 0 | 0 |" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "progress.jsonl").exists()


def test_never_reached_counts_as_the_cap_and_last_click_as_reached():
    slow = [sample("slow", rows=12), sample("fast", rows=10)]
    report = run_noc(slow, Growing(), NocRule(max_clicks=9))
    assert report.noc["90"] == 9 and report.failures["90"] == 1 and report.at_cap["90"] == 2
    assert report.mean_iou[-1] == pytest.approx((9 / 12 + 0.9) / 2)


def test_a_lower_target_leaves_out_the_levels_that_were_not_run():
    report = run_noc([sample()], Growing(), NocRule(target=0.85))
    assert report.noc == {"80": 8, "85": 9}


def test_previous_is_the_last_probability_and_satisfied_is_measured_on_the_mask():
    interactor = Growing()
    report = run_noc([sample()], interactor)
    assert interactor.previous[0] is None
    assert (interactor.previous[1] > 0.4).sum() == 20  # one row of the box
    # The robot's first click is the middle of the box, which rows from the top reach at click 5
    # (row 9); the later clicks are below, so no answer before the last rows agrees with them all.
    assert 0 <= report.satisfied < 0.5
    exact = run_noc([sample()], Growing(step=10))
    assert exact.satisfied == 1 and exact.noc["90"] == 1


def test_ignored_pixels_are_neither_clicked_nor_counted():
    name, image, mask = sample()[:3]
    ignore = np.zeros_like(mask)
    ignore[7:] = True  # two rows of the box count
    report = run_noc([ClickSample(name, image, mask, ignore)], Growing())
    assert report.noc["90"] == 2 and report.mean_iou[:2] == [0.5, 1.0]


def test_bad_objects_are_listed_and_in_no_mean():
    name, image, mask = sample()[:3]

    class Picky(Growing):
        def predict(self, image, clicks, previous):
            if image.shape[0] < 20:
                raise ValueError("image of 8 x 30 is smaller than a tile")
            return super().predict(image, clicks, previous)

    bad = [
        ClickSample("empty", image, np.zeros_like(mask), None),
        ClickSample("size", image, mask[:-1], None),
        ClickSample("float", image / 255.0, mask, None),
        ClickSample("ignored", image, mask, np.ones_like(mask)),
        ClickSample("small", image[:8], mask[:8], None),
    ]
    report = run_noc([*bad, sample("good")], Picky())
    assert report.objects == 1 and report.noc["90"] == 9
    reasons = {entry["name"]: entry["reason"] for entry in report.skipped}
    assert reasons["empty"] == reasons["ignored"] == "mask without object"
    assert "(19, 30)" in reasons["size"] and "uint8" in reasons["float"]
    assert "smaller than a tile" in reasons["small"]
    with pytest.raises(ValueError, match="no object could be measured, 1 skipped; first: empty"):
        run_noc(bad[:1], Picky())


def test_wrong_answers_and_double_names_stop_the_run():
    class Nan(Growing):
        def predict(self, image, clicks, previous):
            answer = super().predict(image, clicks, previous)
            return answer._replace(probability=answer.probability * np.nan)

    with pytest.raises(ValueError, match="box: the interactor returned .* NaN"):
        run_noc([sample()], Nan())
    with pytest.raises(ValueError, match="'box' occurs twice"):
        run_noc([sample(), sample()], Growing())
    with pytest.raises(ValueError, match="max_clicks=0"):
        run_noc([sample()], Growing(), NocRule(max_clicks=0))


def test_an_interrupted_run_resumes_without_measuring_twice(tmp_path):
    data = [sample("a"), sample("b"), sample("c")]
    with pytest.raises(KeyboardInterrupt):
        run_noc(data, Growing(fail_at=12), outputs=Outputs(tmp_path))  # during the second object
    log = tmp_path / "progress.jsonl"
    assert len(log.read_text().splitlines()) == 2
    log.write_text(log.read_text() + '{"name": "b", "io')  # a line cut off by a kill
    again, seen = Growing(), []
    outputs = Outputs(tmp_path)
    report = run_noc(data, again, outputs=outputs, progress=lambda *a: seen.append(a))
    assert len(again.calls) == 18 and seen == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]
    whole = run_noc(data, Growing())
    assert report.noc == whole.noc and report.mean_iou == whole.mean_iou
    assert report.objects == 3


def test_a_log_of_another_configuration_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_noc([sample("a"), sample("b")], Growing(fail_at=12), outputs=Outputs(tmp_path))
    other = Growing()
    other.fingerprint = "w2"
    with pytest.raises(ValueError, match="progress.jsonl: left by a run of"):
        run_noc([sample("a")], other, outputs=Outputs(tmp_path))
