"""The benchmark of training: its figures follow from each other; its times decide nothing here."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from ivs_jax.bench.training import (
    DEFAULT,
    changed,
    initial_state,
    run_training,
    step_operations,
    training_lines,
)
from ivs_jax.bench.training_scaling import Scaling, run_scaling, scaling_lines
from ivs_jax.cli import main
from tests.conftest import ROOT
from tests.training.tiny import RECIPE


def test_figures_of_made_up_samples_follow_from_each_other():
    seen = []
    found = run_training(RECIPE, steps=3, matmul_side=64, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (found.recipe, found.batch, found.parameters) == ("tiny", 4, 4)
    assert found.input_seconds is None
    assert found.share == pytest.approx(found.operations / found.step_seconds / found.matmul_rate)
    assert found.samples_per_second == pytest.approx(4 * found.steps_per_second)
    times = found.compile_seconds, found.step_seconds, found.checkpoint_seconds
    assert min(times) > 0 and found.written_seconds > found.checkpoint_seconds
    lines = dict(training_lines(found))
    assert lines["waiting for input"] == "no --data"
    assert lines["achieved / product"] == f"{100 * found.share:.1f} %"
    assert json.loads(json.dumps(found.as_dict()))["share"] == found.share


def test_real_samples_come_from_the_feed(tmp_path):
    found = run_training(RECIPE, data=tmp_path, steps=2, matmul_side=64)
    assert found.input_seconds is not None and found.input_seconds > 0
    assert dict(training_lines(found))["waiting for input"].endswith("ms a step")


def test_operations_are_those_of_all_samples_and_of_no_less_than_the_products():
    def count(batch):
        recipe = replace(RECIPE, batch=batch)
        sample = recipe.task.example(batch, np.random.default_rng(0))
        return step_operations(recipe, initial_state(recipe), sample)

    pixels, channels = 16 * 16, 3
    forward_and_gradient = 2 * 2 * pixels * channels  # of a pixel's weights; images have none
    assert count(8) >= 8 * forward_and_gradient
    assert count(8) == pytest.approx(2 * count(4), rel=0.05)


def test_the_default_is_the_published_network():
    shapes = jax.eval_shape(lambda: initial_state(DEFAULT))
    batch = DEFAULT.task.example(1, np.random.default_rng(0))
    whole = step_operations(DEFAULT, shapes, batch)
    half = changed(DEFAULT, batch=None, side=128, precision="bfloat16")
    assert half.precision == "bfloat16" and half.batch == 1
    part = step_operations(half, shapes, half.task.example(1, np.random.default_rng(0)))
    # Convolutions are a quarter, attention a sixteenth.
    assert whole / 5 < part < whole / 4
    assert 300e9 < whole < 400e9


def test_scaling_splits_one_batch_over_virtual_devices(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    one, two = run_scaling(replace(RECIPE, batch=3), (1, 2), steps=2)
    assert (one.devices, two.devices) == (1, 2)
    assert one.batch == two.batch == 4  # the multiple of both
    assert min(one.seconds, two.seconds) > 0


def test_the_speed_of_devices_is_told_against_the_first():
    rows = [Scaling(1, 4, 2.0), Scaling(2, 4, 1.0)]
    assert scaling_lines(rows) == [
        ("1 device, batch 4", "2.00 samples a second, 1.00 x 1"),
        ("2 devices, batch 4", "4.00 samples a second, 2.00 x 1"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps 0: expected 1 or more"),
        (["--devices", "1,x"], "--devices '1,x': expected a comma list of numbers"),
        (["--side", "64", "--data", "."], "--side: frames of --data have the size of the recipe"),
        (["--data", "."], "--data: stm-resnet50 has no samples of its own: name a recipe"),
        (["nowhere.py"], "nowhere.py: no such recipe"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(arguments, message, capsys):
    assert main(["bench", "training", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
