"""Recipes as data, and those of experiments/: they load, fit together and say what they are."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ivs_jax.cli.train import parse_train
from ivs_jax.data import click_samples, clip_samples
from ivs_jax.data.sets import Davis, Stills
from ivs_jax.training.recipe import Stage, load_recipe, write_recipe
from ivs_jax.training.run import check_fit
from ivs_jax.training.validation import first_batch
from tests.data.scenes import Moving, mixture, two_disks
from tests.training.tiny import RECIPE

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
SMALL = ("click_small", "stm_small", "ipn_small")
NAMES = ("stm_pretrain", "stm_main", "ipn_pretrain", "ipn_main", "brs_sbd", "fbrs_sbd", *SMALL)


def _made_up(parts, data, kind):
    return mixture(two_disks() if kind == "stills" else Moving(40))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_says_what_it_is(name):
    path = EXPERIMENTS / f"{name}.py"
    recipe = load_recipe(path)
    assert recipe.name == name and recipe.held_out is not None
    text = path.read_text(encoding="utf-8").split('"""')[1].lower()
    assert f"ivs train experiments/{name}.py --data data --out runs/{name}" in text
    assert "number" in text or "noc@85" in text or "j 0." in text
    if name not in SMALL:
        assert "not reached here" in text and "published" in text


def test_no_recipe_is_left_out():
    files = (p for p in EXPERIMENTS.glob("*.py") if "\nRECIPE = " in p.read_text(encoding="utf-8"))
    assert {p.stem for p in files} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_shapes_that_the_task_expects(name, monkeypatch):
    for module in (click_samples, clip_samples):
        monkeypatch.setattr(module, "open_mixture", _made_up)
    recipe = load_recipe(EXPERIMENTS / f"{name}.py")
    for step in (0, *recipe.boundaries()):
        part = recipe.at(step)
        check_fit(part, first_batch(part.samples.open(Path()), seed=0, batch=1))
    task = dataclasses.replace(recipe.task, **recipe.held_out_task)
    held_out = dataclasses.replace(recipe, task=task, samples=recipe.held_out, stages=())
    check_fit(held_out, first_batch(recipe.held_out.open(Path()), seed=0, batch=1))


@pytest.mark.parametrize("name", NAMES)
def test_every_group_of_parameters_has_a_rate(name):
    recipe = load_recipe(EXPERIMENTS / f"{name}.py")
    assert set(recipe.optimiser.rates) == set(recipe.task.groups)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "recipe tiny: batch is 0, expected 1 or more"),
        ({"validation_batches": 0}, "validation_batches is 0"),
        ({"accumulate": 3}, "accumulate 3 does not divide the batch of 4"),
        ({"stages": (Stage(0.5), Stage(0.2))}, r"stages start at \[0.5, 0.2\], expected rising"),
        ({"stages": (Stage(0.0),)}, "expected rising shares between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_samples_of_another_size_are_named():
    recipe = load_recipe(EXPERIMENTS / "stm_small.py")
    batch = dataclasses.replace(recipe.task, side=64).example(1, np.random.default_rng(0))
    message = r"samples have frames of \(3, 64, 64, 3\), the task expects \(3, 192, 192, 3\)"
    with pytest.raises(ValueError, match=message):
        check_fit(recipe, batch)


def test_stages_begin_at_their_share_of_the_steps():
    recipe = dataclasses.replace(
        RECIPE, stages=(Stage(0.25, {"noise": 1.0}), Stage(0.5, {"noise": 2.0}, {"dark": 9}))
    )
    assert recipe.boundaries() == (3, 6)
    found = [(recipe.at(s).task.noise, recipe.at(s).samples.dark) for s in (0, 2, 3, 5, 6, 12)]
    assert found == [(0.1, 40), (0.1, 40), (1.0, 40), (1.0, 40), (2.0, 9), (2.0, 9)]


def test_what_has_changed_is_found_in_nested_settings(tmp_path):
    path = tmp_path / "recipe.json"
    assert write_recipe(path, RECIPE) == []
    optimiser = dataclasses.replace(RECIPE.optimiser, rates={"decoder": 0.25})
    changed = write_recipe(path, dataclasses.replace(RECIPE, optimiser=optimiser, steps=30))
    assert sorted(changed) == ["optimiser.rates.decoder 0.5 -> 0.25", "steps 12 -> 30"]
    assert write_recipe(path, RECIPE)[0].startswith("steps 30 -> 12")


def test_every_setting_of_a_set_is_a_flag_and_is_recorded(tmp_path):
    file, path = str(EXPERIMENTS / "click_small.py"), tmp_path / "recipe.json"
    write_recipe(path, parse_train([file]).settings)
    before = json.loads(path.read_text())["samples"]["stills"]
    assert [one["kind"] for one in before] == ["Stills", "Stills", "Stills", "Davis"]
    assert before[3]["resolution"] == "240p" and before[3]["every"] == 8
    first, last = "--samples.stills.0.", "--samples.stills.3."
    changed = [f"{first}name", "own", f"{first}share", "0.9", f"{first}no-cached"]
    changed += [f"{last}split", "val", f"{last}year", "None", f"{last}every", "2"]
    recipe = parse_train([file, *changed]).settings
    assert recipe.samples.stills[0] == Stills("own", share=0.9)
    assert recipe.samples.stills[3] == Davis(
        "davis", split="val", resolution="240p", every=2, cached=True, share=0.12
    )
    found = write_recipe(path, recipe)
    assert "samples.stills.3.year 2016 -> None" in found and len(found) == 6
