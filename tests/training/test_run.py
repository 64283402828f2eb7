"""Runs of a tiny recipe: the same numbers however they are interrupted, and nothing lost."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.augment import Colour
from ivs_jax.data.pipeline import feed
from ivs_jax.training import log
from ivs_jax.training.checkpoint import CheckpointWarning
from ivs_jax.training.guard import Guard
from ivs_jax.training.log import read_table
from ivs_jax.training.recipe import Stage
from ivs_jax.training.run import run
from ivs_jax.training.start import run_variables, start_variables
from tests.training.tiny import RECIPE, TinySamples, interrupt_at

TIMES = ("minutes", "steps_per_second", "input_share", "save_share")


def _run(folder, recipe=RECIPE, **options):
    options = dict[str, Any](devices=jax.devices()[:1], say=lambda line: None) | options
    return run(recipe, folder, data=folder, **options)


def _numbers(folder):
    """All lines of both tables but for times: exact, as text."""
    rows = [row for name in ("training.csv", "validation.csv") for row in read_table(folder / name)]
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def _assert_equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from the first step to the last, and what it said."""
    folder: Path = tmp_path_factory.mktemp("whole")
    said: list[str] = []
    return folder, _run(folder, say=said.append), said


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Curves are drawn by the whole run alone: they would take half the time of the others."""
    monkeypatch.setattr(log, "plot_curves", lambda folder: None)


def test_a_run_writes_all_that_it_promises(whole):
    folder, outcome, said = whole
    assert outcome.reason == "finished" and outcome.step == 12 and int(outcome.state.step) == 12
    names = {p.name for p in folder.iterdir()}
    logs = {"training.csv", "validation.csv", "curves.png", "examples", "recipe.json"}
    assert logs | {"checkpoints"} <= names <= logs | {"checkpoints", "tensorboard", "run.lock"}
    rows = read_table(folder / "training.csv")
    assert [int(r["step"]) for r in rows] == [5, 10, 12]
    assert set(rows[0]) == {"step", "loss", "iou", "gradient_norm", *TIMES}
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])
    assert [int(r["step"]) for r in read_table(folder / "validation.csv")] == [6, 12]
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["12", "6", "8"]
    with Image.open(folder / "curves.png") as image:
        assert image.width > 800  # three metrics side by side
    examples = sorted((folder / "examples").iterdir())
    assert [p.name for p in examples] == ["00000006.png", "00000012.png"]
    assert json.loads((folder / "recipe.json").read_text())["task"]["network"] == "click-small"
    text = "\n".join(said)
    assert "step 5  " in text and "steps/s" in text and "finished after step 12 of 12" in text


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path, whole, at):
    stopped = _run(tmp_path, advance=interrupt_at(at))
    assert stopped.reason == "SIGTERM" and stopped.step == at
    assert (tmp_path / "checkpoints" / str(at)).is_dir()
    said: list = []
    again = _run(tmp_path, say=said.append)
    assert f"continues after step {at} of 12" in said[0]
    assert again.reason == "finished"
    _assert_equal(again.state, whole[1].state)
    assert _numbers(tmp_path) == _numbers(whole[0])


def test_another_seed_gives_other_numbers(tmp_path, whole):
    _run(tmp_path, dataclasses.replace(RECIPE, seed=1))
    assert _numbers(tmp_path) != _numbers(whole[0])


def test_handlers_of_signals_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in Guard.SIGNALS]
    _run(tmp_path, dataclasses.replace(RECIPE, steps=1))
    assert [signal.getsignal(number) for number in Guard.SIGNALS] == before


def test_the_time_limit_stops_with_a_checkpoint(tmp_path, whole):
    outcome = _run(tmp_path, time_limit=1e-6)
    assert outcome.reason == "time limit" and outcome.step == 1
    _assert_equal(_run(tmp_path).state, whole[1].state)
    with pytest.raises(ValueError, match="time limit: expected more than 0"):
        _run(tmp_path, time_limit=0)


def test_a_finished_run_stays_as_it_is(tmp_path, whole):
    first = _run(tmp_path, dataclasses.replace(RECIPE, steps=2))
    again = _run(tmp_path, dataclasses.replace(RECIPE, steps=2))
    assert again.reason == "finished" and again.step == 2
    _assert_equal(first.state, again.state)


def test_a_damaged_newest_checkpoint_costs_only_its_steps(tmp_path, whole):
    _run(tmp_path, advance=interrupt_at(7))
    for file in (tmp_path / "checkpoints" / "7" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(CheckpointWarning, match=r"checkpoints/7: checkpoint is damaged"):
        again = _run(tmp_path)
    _assert_equal(again.state, whole[1].state)
    assert _numbers(tmp_path) == _numbers(whole[0])


def test_a_loss_of_nan_stops_and_leaves_its_batch(tmp_path):
    broken = 4 * 8 + 2  # in the batch of step 9, after the checkpoint of step 8
    recipe = dataclasses.replace(RECIPE, samples=TinySamples(broken=broken))
    with pytest.raises(ValueError, match=r"not_finite_step9\.npz: loss is nan.*step 8") as caught:
        _run(tmp_path, recipe)
    assert "\n" not in str(caught.value)
    expected = next(feed(recipe.samples.draw, seed=0, batch=4, start=8))
    with np.load(tmp_path / "not_finite_step9.npz") as arrays:
        np.testing.assert_array_equal(arrays["image"], expected.image)
        np.testing.assert_array_equal(arrays["clicks.xy"], expected.clicks.xy)
        assert arrays["run.step"] == 9 and arrays["run.seed"] == 0
        assert np.isnan(arrays["run.loss"]) and np.isfinite(arrays["run.iou"])
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["4", "6", "8"]


def test_stages_change_what_is_trained_and_drawn(tmp_path, whole):
    stages = (Stage(0.5, {"noise": 2.0}, {"dark": 90}),)
    recipe = dataclasses.replace(RECIPE, stages=stages)
    outcome = _run(tmp_path / "a", recipe)
    before, after = read_table(tmp_path / "a" / "training.csv")[0], _numbers(tmp_path / "a")
    assert before["loss"] == read_table(whole[0] / "training.csv")[0]["loss"]
    assert after != _numbers(whole[0])
    _run(tmp_path / "b", recipe, advance=interrupt_at(6))  # just where the stage begins
    _assert_equal(_run(tmp_path / "b", recipe).state, outcome.state)
    assert _numbers(tmp_path / "b") == after


def test_light_changes_on_the_device(tmp_path, whole):
    _run(tmp_path, dataclasses.replace(RECIPE, steps=5, colour=Colour(grey=1.0)))
    bright, grey = (read_table(f / "training.csv")[0]["loss"] for f in (whole[0], tmp_path))
    assert bright != grey


def test_two_devices_give_the_numbers_of_one(tmp_path, whole):
    outcome = _run(tmp_path, devices=jax.devices()[:2], advance=interrupt_at(5))
    assert outcome.reason == "SIGTERM"
    outcome = _run(tmp_path, devices=jax.devices()[:2])
    for a, b in zip(*map(jax.tree.leaves, (outcome.state, whole[1].state)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_folder_of_another_run_is_refused(tmp_path):
    _run(tmp_path, dataclasses.replace(RECIPE, steps=1))
    with pytest.raises(ValueError, match="a run with seed 0, the recipe has 2"):
        _run(tmp_path, dataclasses.replace(RECIPE, seed=2))
    with pytest.raises(ValueError, match="a run with batch 4, the recipe has 2"):
        _run(tmp_path, dataclasses.replace(RECIPE, batch=2))


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path, whole):
    holds = (
        "import sys, pathlib; from ivs_jax.training.lock import alone_in\n"
        "with alone_in(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holds, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another process trains in this folder"):
            _run(tmp_path)
        other.kill()
        other.communicate()
    _assert_equal(_run(tmp_path).state.params, whole[1].state.params)


def test_what_has_changed_in_the_recipe_is_said(tmp_path):
    _run(tmp_path, dataclasses.replace(RECIPE, steps=1))
    said: list = []
    _run(tmp_path, dataclasses.replace(RECIPE, steps=2, ema=0.5), say=said.append)
    assert any("the recipe has changed, steps 1 -> 2" in line for line in said)
    assert any("ema 0.9 -> 0.5" in line for line in said)


def test_a_score_that_no_validation_gives_is_named(tmp_path):
    with pytest.raises(ValueError, match="score 'j': expected one of iou, loss"):
        _run(tmp_path, dataclasses.replace(RECIPE, score="j"))


def test_a_run_without_held_out_data_has_no_validation(tmp_path):
    _run(tmp_path, dataclasses.replace(RECIPE, held_out=None, steps=6))
    assert not (tmp_path / "validation.csv").exists()
    assert (tmp_path / "checkpoints" / "6").is_dir()


def test_weights_that_are_given_are_where_it_starts(tmp_path, whole):
    network, variables, step = run_variables(whole[0])
    assert network == "click-small" and step in (6, 12)
    if step == 12:
        _assert_equal(variables["params"], whole[1].state.ema)
    outcome = _run(tmp_path, dataclasses.replace(RECIPE, steps=1), variables=variables)
    kernel, start = (p["pixel"]["kernel"] for p in (outcome.state.params, variables["params"]))
    assert np.abs(np.asarray(kernel) - start).max() <= 0.5
    _assert_equal(start_variables(whole[0], "click-small"), variables)
    with pytest.raises(ValueError, match="a run of click-small, expected one of stm-small"):
        start_variables(whole[0], "stm-small")
    with pytest.raises(ValueError, match=r"recipe\.json: no recipe of a run"):
        run_variables(tmp_path / "nothing")
