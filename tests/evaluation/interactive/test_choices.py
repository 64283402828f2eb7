"""Which frame is corrected next: worst, suggested or by lot, and what a choice is worth."""

import json

import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.davis import open_davis
from ivs_jax.evaluation.interactive import choices
from ivs_jax.evaluation.interactive.choices import choose_frame, compare_choices, write_comparison
from ivs_jax.evaluation.interactive.run import run_interactive
from ivs_jax.evaluation.interactive.user import Protocol
from ivs_jax.evaluation.region import iou
from ivs_jax.interaction.events import Click
from ivs_jax.session import Engine, step
from ivs_jax.session.suggest import suggest
from tests.evaluation.interactive.colour_walk import (
    COUNT,
    VIDEO,
    load_engine,
    plain,
    plain_engine,
    red,
    task,
    write_tree,
)
from tests.plain_engine import PlainInteractor, PlainPropagator


def test_the_worst_frame_depends_on_the_measure():
    def changed(labels, frame):
        """Pushed aside, the pill has little area but much border in common; made thin, neither."""
        pill = labels == 1
        if frame == 4:
            pill = np.roll(pill, 8, axis=1)
        if frame == 7:
            pill = ndimage.binary_erosion(pill, iterations=2)
        return pill.astype(np.uint8)

    j, f = (
        [measure(VIDEO.truth(i) == 1, changed(VIDEO.truth(i), i) == 1) for i in range(COUNT)]
        for measure in (iou, f_measure)
    )
    assert np.argmin(j) == 4 and np.argmin(np.add(j, f)) == 7
    for protocol, worst in ((Protocol(2, metric="j"), 4), (Protocol(2, metric="jf"), 7)):
        engine = Engine(VIDEO, PlainInteractor(), PlainPropagator(), "far-sighted")
        _, sample = plain(protocol, task(changed), engine)
        assert sample.frames == (0, worst)
        assert sample.j[0] == pytest.approx(np.mean(j)) and sample.f[0] == pytest.approx(np.mean(f))


def test_suggested_and_random_frames_are_new_ones():
    state, sample = plain(Protocol(rounds=1, choose="suggested"))
    named = suggest(state, 1)
    scores = np.zeros(COUNT)
    rng = np.random.default_rng(0)
    assert [choose_frame("suggested", state, scores, [], rng)] == named and 0 not in named
    second = choose_frame("suggested", state, scores, named, rng)
    assert second not in (0, *named)
    drawn = {choose_frame("random", state, scores, [5], rng) for _ in range(200)}
    assert drawn == set(range(COUNT)) - {0, 5}
    for choice in ("suggested", "random"):
        state, sample = plain(Protocol(rounds=5, choose=choice))
        assert len(set(sample.frames)) == 5 and {*state.annotated} <= {*sample.frames}


def test_without_a_suggestion_the_lot_decides(monkeypatch):
    monkeypatch.setattr(choices, "suggest", lambda state, count: [4][:count])
    state, _ = plain(Protocol(rounds=1))
    rng = np.random.default_rng(0)
    assert choose_frame("suggested", state, np.zeros(COUNT), [], rng) == 4
    drawn = {choose_frame("suggested", state, np.zeros(COUNT), [4], rng) for _ in range(200)}
    assert drawn == set(range(1, COUNT)) - {4}


def test_when_every_frame_is_marked_all_choose_the_worst():
    state, _ = plain(Protocol(rounds=1), task(count=3), plain_engine(3))
    for frame in (1, 2):
        state = step(state, Click(frame, 1, 20 + frame, 7))
    scores = np.array([0.5, 0.1, 0.3])
    for choice in ("worst", "suggested", "random"):
        assert choose_frame(choice, state, scores, [1, 2], np.random.default_rng(0)) == 0


def test_frames_drawn_by_lot_depend_on_seed_and_sample_alone(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": red, "b": red})

    def frames(seed, *names):
        protocol = Protocol(rounds=4, choose="random", seed=seed)
        found = open_davis(root, sequences=names)
        report = run_interactive(found, load_engine, dataset="", protocol=protocol)
        return {n: values["samples"][0]["frames"] for n, values in report.sequences.items()}

    both = frames(0, "a", "b")
    assert both["a"] != both["b"] and frames(0, "b")["b"] == both["b"]
    assert any(frames(seed, "b")["b"] != both["b"] for seed in (1, 2))


def test_choices_are_compared_by_what_the_worst_frame_gains(tmp_path):
    root = write_tree(tmp_path / "davis", {"one": red})
    report = run_interactive(open_davis(root), load_engine, dataset="", protocol=Protocol(rounds=2))

    def of(*curve):
        return type(report)(**{**report.__dict__, "jf_per_round": list(curve)})

    reports = {"worst": of(0.3, 0.6, 0.8), "random": of(0.3, 0.4, 0.7)}
    compared = compare_choices({**reports, "suggested": of(0.3, 0.5, 0.74)})
    assert compared.recovered == pytest.approx((0.62 - 0.55) / (0.7 - 0.55))
    assert compared.recovered_last == pytest.approx(0.4)
    text = write_comparison(compared, tmp_path)
    assert "recover 47%" in text and "| suggested | 0.300 | 0.500 | 0.740 |" in text
    assert (tmp_path / "choices.md").read_text() == text and (tmp_path / "choices.png").is_file()
    assert json.loads((tmp_path / "choices.json").read_text())["recovered_last"] < 0.41
    assert compare_choices(reports).recovered is None  # a run is missing
    assert (
        compare_choices(dict.fromkeys(("worst", "random", "suggested"), report)).recovered is None
    )
    assert compare_choices({"worst": of(0.5)}).recovered is None
