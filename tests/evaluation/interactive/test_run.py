"""The DAVIS interactive protocol on tiny trees and a real session, whose scores are known by hand.

The engine follows colours exactly, but no farther than two frames from a marked one: so a round on
a new place makes five frames right, and everything else stays empty.
"""

import csv
import json

import numpy as np
import pytest

from ivs_jax.cli import main
from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.davis import open_davis
from ivs_jax.evaluation.interactive import user as simulated_user
from ivs_jax.evaluation.interactive.run import run_interactive
from ivs_jax.evaluation.interactive.scores import (
    FrameScores,
    auc,
    round_curve,
    time_curve,
    value_at,
)
from ivs_jax.evaluation.interactive.user import Protocol
from ivs_jax.evaluation.region import iou
from ivs_jax.interaction.davis_scribbles import write_scribbles
from ivs_jax.interaction.events import Click, Propagate, Scribble, Stroke
from ivs_jax.io.frames import open_video
from ivs_jax.session import Engine, replay, start, step
from tests.evaluation.interactive.colour_walk import (
    COUNT,
    VIDEO,
    Clock,
    ShortSighted,
    load_engine,
    none,
    plain,
    plain_engine,
    red,
    task,
    two,
    write_tree,
)
from tests.plain_engine import PlainInteractor, PlainPropagator


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(simulated_user, "perf_counter", lambda: made.now)
    return made


def test_rounds_are_those_worked_out_by_hand(tmp_path):
    root = write_tree(tmp_path / "davis", {"one": red, "pair": two})
    out, seen = tmp_path / "out", []
    report = run_interactive(
        open_davis(root),
        load_engine,
        dataset="tiny",
        protocol=Protocol(rounds=5),
        out=out,
        page=out,
        progress=lambda *at: seen.append(at),
    )
    # Round 1 is on frame 0 (all are alike) and makes 0..2 right; then the first wrong frame is the
    # worst each time: 3 makes 1..5 right, 6 makes 4..8, 9 the rest. On frame 0 again all is right.
    steps = [3 / 12, 6 / 12, 9 / 12, 1, 1]
    assert report.jf_per_round == report.j_per_round == report.f_per_round == pytest.approx(steps)
    for name, objects in (("one", 1), ("pair", 2)):
        measured = report.sequences[name]
        assert measured["jf_per_round"] == pytest.approx(steps) and measured["objects"] == objects
        assert [sample["frames"] for sample in measured["samples"]] == [[0, 3, 6, 9, 0]]
    heights = [0, *steps]
    by_hand = sum((a + b) / 2 for a, b in zip(heights, heights[1:], strict=False)) / 5
    assert report.interaction_auc == report.j_interaction_auc == pytest.approx(by_hand)
    assert report.samples == 2 and report.objects == 3 and report.model == "plain"
    assert seen[:2] == [(1, 5, "one"), (2, 5, "one")] and seen[-1] == (5, 5, "pair")
    split = report.time_split
    assert np.add(split["marks"], split["propagation"]) == pytest.approx(report.seconds_per_round)
    assert 0 < split["marks"][1] and 0 < split["robot"][4] and split["propagation"][4] == 0

    written = json.loads((out / "report.json").read_text())
    assert written["jf_per_round"] == report.jf_per_round and written["auc"] == report.auc
    assert "| one | 0.250 | 0.500 | 0.750 | 1.000 | 1.000 |" in (out / "report.md").read_text()
    rows = list(csv.DictReader((out / "per_round.csv").read_text().splitlines()))
    assert len(rows) == 3 * 5 and {row["object"] for row in rows} == {"1", "2"}
    assert [row["frame"] for row in rows[:5]] == list("03690") and rows[1]["j"] == "0.500000"
    assert (out / "curve.png").is_file() and (out / "strips" / "pair.jpg").is_file()
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2 and page.count("data:image/png") == 1
    assert "Best sequences" in page and "Frames marked" in page and "http:" not in page


def test_one_object_weighs_as_much_as_another(tmp_path):
    def far(labels, frame):
        """Green is where no colour is: nothing that is said about it can be right."""
        return np.where(labels == 1, 1, np.roll(labels == 2, 30, axis=1) * 2).astype(np.uint8)

    root = write_tree(tmp_path / "davis", {"one": red, "wrong": far})
    found = open_davis(root)
    report = run_interactive(found, load_engine, dataset="tiny", protocol=Protocol(rounds=1))
    one, wrong = (report.sequences[name]["j_per_round"][0] for name in ("one", "wrong"))
    assert one == pytest.approx(1 / 4) and wrong != pytest.approx(one)
    assert report.j_per_round[0] == pytest.approx((one + 2 * wrong) / 3)


def test_clicks_take_the_place_of_scribbles():
    engine = plain_engine()
    protocol = Protocol(rounds=3, marks="clicks", clicks=3)
    state, sample = plain(protocol, task(two), engine)
    # One click finds a pill, so of the three allowed a round needs one an object.
    assert sum(isinstance(event, Click) for event in state.events) == 6
    assert not any(isinstance(event, Scribble) for event in state.events)
    assert sample.frames == (0, 3, 6)
    assert sample.j.tolist() == sample.f.tolist() == [[0.25] * 2, [0.5] * 2, [0.75] * 2]
    assert [number for number, _ in engine.interactor.calls] == [1] * 6


def test_later_clicks_answer_what_the_earlier_ones_changed():
    def bent(labels, frame):
        """Two pills are one object: a flood finds one of them at a time."""
        return (labels >= 2).astype(np.uint8)

    state, sample = plain(Protocol(rounds=1, marks="clicks", clicks=5), task(bent))
    clicks = [event for event in state.events if isinstance(event, Click)]
    assert len(clicks) == 2 and clicks[0].y != clicks[1].y
    assert np.array_equal(state.labels(0), bent(VIDEO.truth(0), 0))


def test_only_the_first_round_goes_to_the_whole_video():
    state, _ = plain(Protocol(rounds=3))
    runs = [event for event in state.events if isinstance(event, Propagate)]
    assert [(run.start, run.span, run.direction) for run in runs] == [
        (0, "video", "both"),
        (3, "round", "both"),
        (6, "round", "both"),
    ]
    assert replay(state.events, state.engine).scene == state.scene


def test_seconds_are_the_sessions_and_end_at_the_limit(clock):
    state, sample = plain(Protocol(rounds=3, seconds_per_object=15), engine=clock.engine(VIDEO))
    # A prediction and 11 frames, then one and the 10 frames around 3 beside the marked frame 0.
    # The third round, one and 7 frames more, would end at 59 s, and 45 s are allowed.
    assert sample.seconds["marks"].tolist() == [1, 1, 0]
    assert sample.seconds["propagation"].tolist() == [22, 20, 0]
    assert sample.waited.tolist() == [23, 21, 0] and sample.seconds["robot"].tolist() == [0] * 3
    assert sample.frames == (0, 3) and sample.jf.tolist() == [0.25, 0.5, 0.5]
    assert 6 not in state.annotated  # the late round was taken back
    assert plain(Protocol(rounds=3, seconds_per_object=None))[1].frames == (0, 3, 6)
    _, late = plain(Protocol(rounds=2, seconds_per_object=5), engine=clock.engine(VIDEO))
    assert late.frames == () and late.jf.tolist() == [0, 0] and late.waited.tolist() == [0, 0]


def test_curve_of_a_run(tmp_path, clock):
    root = write_tree(tmp_path / "davis", {"one": red, "other": red})
    report = run_interactive(
        open_davis(root),
        lambda folder: clock.engine(open_video(folder)),
        dataset="tiny",
        protocol=Protocol(rounds=3, seconds_per_object=15),
    )
    assert report.seconds_per_round == [23, 21, 0]
    # (0, 0), (23, 1/4), (44, 1/2), and on to the 3 x 15 s that were allowed.
    by_hand = (23 * 0.25 / 2 + 21 * 0.75 / 2 + 1 * 0.5) / 45
    assert report.auc == report.j_auc == pytest.approx(by_hand)
    assert report.jf_at_60s == 0.5
    free = run_interactive(
        open_davis(root),
        lambda folder: clock.engine(open_video(folder)),
        dataset="tiny",
        protocol=Protocol(rounds=3, seconds_per_object=None),
    )
    assert free.seconds_per_round == [23, 21, 15] and free.seconds_per_object is None
    assert free.auc == pytest.approx((23 * 0.25 / 2 + 21 * 0.75 / 2 + 15 * 1.25 / 2) / 59)
    assert free.jf_at_60s == 0.75


@pytest.mark.parametrize("seed", range(3))
def test_areas_and_heights_are_those_of_a_fine_sum(seed):
    rng = np.random.default_rng(seed)
    scores, seconds = rng.uniform(size=6), rng.uniform(1, 9, 6)
    curve = time_curve(scores, seconds, 100)
    x = np.linspace(0, 100, 200_001)
    y = np.interp(x, [0, *np.cumsum(seconds), 100], [0, *scores, scores[-1]])
    assert auc(curve) == pytest.approx(y.mean(), abs=1e-4)
    assert value_at(curve, 60) == pytest.approx(scores[-1])
    middle = seconds[0] + seconds[1] / 2
    assert value_at(curve, middle) == pytest.approx(scores[:2].mean())
    assert round_curve(scores).x == tuple(range(7))
    assert auc(time_curve([0.7], [0])) == 0  # not one round was finished
    assert time_curve([0.5], [9], 4).x == (0, 9)  # a limit that was passed adds nothing


def test_first_rounds_from_davis_scribbles(tmp_path):
    root = write_tree(tmp_path / "davis", {"one": red})
    folder = tmp_path / "Scribbles" / "one"
    folder.mkdir(parents=True)
    for name, frame in (("001", 4), ("002", 10)):
        x = 20 + frame
        drawn = [Scribble(frame, (Stroke(1, ((x - 4, 6), (x + 5, 8))),))]
        write_scribbles(folder / f"{name}.json", "one", drawn, VIDEO.size, COUNT)
    out = tmp_path / "out"
    report = run_interactive(
        open_davis(root),
        load_engine,
        dataset="tiny",
        protocol=Protocol(rounds=2),
        scribbles=tmp_path / "Scribbles",
        out=out,
    )
    samples = report.sequences["one"]["samples"]
    assert [sample["name"] for sample in samples] == ["001", "002"] and report.first == "Scribbles"
    # 2..6 and then 0..2 as frame 0 is the first wrong one; 8..11, then 0..2.
    assert [sample["frames"] for sample in samples] == [[4, 0], [10, 0]]
    assert samples[0]["jf_per_round"] == pytest.approx([5 / 12, 7 / 12])
    assert samples[1]["jf_per_round"] == pytest.approx([4 / 12, 7 / 12])
    assert report.jf_per_round == pytest.approx([9 / 24, 14 / 24]) and report.samples == 2
    assert sorted(path.name for path in (out / "strips").iterdir()) == [
        "one_001.jpg",
        "one_002.jpg",
    ]


def test_unfitting_scribbles_are_named(tmp_path):
    root = write_tree(tmp_path / "davis", {"one": red})

    def play_with(name, scribble=None, count=COUNT):
        folder = tmp_path / name / "one"
        folder.mkdir(parents=True)
        if scribble:
            write_scribbles(folder / "001.json", "one", [scribble], VIDEO.size, count)
        run_interactive(open_davis(root), load_engine, dataset="", scribbles=tmp_path / name)

    with pytest.raises(ValueError, match="none.one: no scribbles of 'one', expected"):
        play_with("none")
    with pytest.raises(ValueError, match=r"001.json: a stroke of object 7, objects are \[1\]"):
        play_with("id", Scribble(0, (Stroke(7, ((20, 7),)),)))
    with pytest.raises(ValueError, match="001.json.* 13 "):
        play_with("frames", Scribble(0, (Stroke(1, ((20, 7),)),)), 13)
    with pytest.raises(ValueError, match="rounds of clicks begin with clicks"):
        run_interactive(
            open_davis(root),
            load_engine,
            dataset="",
            protocol=Protocol(marks="clicks"),
            scribbles=tmp_path / "id",
        )


def test_sequences_without_object_are_listed(tmp_path):
    root = write_tree(tmp_path / "davis", {"none": none, "one": red})
    report = run_interactive(
        open_davis(root), load_engine, dataset="tiny", protocol=Protocol(rounds=1)
    )
    assert report.skipped == [{"name": "none", "reason": "no object on any frame"}]
    assert list(report.sequences) == ["one"]
    with pytest.raises(ValueError, match="tiny: no sequence could be measured"):
        run_interactive(open_davis(root, sequences=["none"]), load_engine, dataset="tiny")


def test_an_object_that_comes_later_is_marked_when_its_frame_is():
    def later(labels, frame):
        return np.where(labels == (1 if frame < 6 else 2), labels, 0).astype(np.uint8)

    engine = Engine(VIDEO, PlainInteractor(), PlainPropagator(), "far-sighted")
    state, sample = plain(Protocol(rounds=2), task(later), engine)
    assert sample.objects == (1, 2) and sample.frames == (0, 6)
    first = sample.j[0]
    assert first.tolist() == [0.5, 0.5]  # red on all frames; green on none, which is half right
    assert np.array_equal(state.labels(6), later(VIDEO.truth(6), 6))
    strokes = [s for e in state.events if isinstance(e, Scribble) for s in e.strokes]
    assert {stroke.object for stroke in strokes} == {0, 1, 2}


def test_only_frames_that_changed_are_measured():
    class Counted(list):
        asked = 0

        def __getitem__(self, index):
            self.asked += 1
            return super().__getitem__(index)

    truth = Counted(two(VIDEO.truth(i), i) for i in range(COUNT))
    truth[7][:] = 0
    truth.asked = 0
    scores = FrameScores(truth, (1, 2))
    assert scores.j.tolist() == [[float(i == 7) for i in range(COUNT)]] * 2  # of empty masks
    state = step(start(plain_engine()), Click(3, 1, 23, 7))
    scores.update(state)
    assert truth.asked == 1 and scores.j[0, 3] == 1 and scores.j[1, 3] == 0
    scores.update(state)
    assert truth.asked == 1
    state = step(state, Propagate(3, "both", limit=4))
    scores.update(state)
    assert truth.asked == 1 + 3 + 4
    for frame in range(COUNT):
        for row, number in enumerate((1, 2)):
            pair = state.labels(frame) == number, list.__getitem__(truth, frame) == number
            assert (scores.j[row, frame], scores.f[row, frame]) == (iou(*pair), f_measure(*pair))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"marks": "boxes"}, "marks must be one of scribbles, clicks, found 'boxes'"),
        ({"choose": "best"}, "choose must be one of worst, suggested, random, found 'best'"),
        ({"metric": "f"}, "metric must be one of jf, j, found 'f'"),
        ({"rounds": 0}, "rounds must be at least 1, found 0"),
        ({"clicks": -1}, "clicks must be at least 1, found -1"),
        ({"seconds_per_object": 0}, "seconds must be above 0, found 0"),
    ],
)
def test_protocols_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Protocol(**options)


def test_the_video_must_have_the_frames_of_the_annotations(tmp_path):
    root = write_tree(tmp_path / "davis", {"one": red})
    with pytest.raises(ValueError, match="video has 5 frames, expected 12"):
        run_interactive(open_davis(root), lambda folder: plain_engine(5), dataset="")


def test_command_runs_and_compares(tmp_path, capsys, monkeypatch):
    root = write_tree(tmp_path / "davis", {"one": red})
    asked = []

    def load(video, **options):
        asked.append(options)
        return Engine(video, PlainInteractor(), ShortSighted(), "plain")

    monkeypatch.setattr("ivs_jax.api.loader.default_loader", lambda: load)
    monkeypatch.setenv("COLUMNS", "120")
    command = ["eval", "interactive", str(root), "--rounds", "2", "--propagation", "ipn-small"]
    assert main([*command, "--interaction", "ipn-small", "--time-limit", "0"]) == 0
    assert "| one | 0.250 | 0.500 |" in capsys.readouterr().out
    named = [asked[0][name] for name in ("model", "interaction", "propagation")]
    assert named == ["click-small", "ipn-small", "ipn-small"]
    out = tmp_path / "out"
    options = ["--clicks", "2", "--choose", "worst, random,suggested", "--out", str(out)]
    assert main([*command, *options, "--report", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "J&F by choice of frame" in printed and (out / "choices.md").is_file()
    for choice in ("worst", "random", "suggested"):
        written = json.loads((out / choice / "report.json").read_text())
        assert written["choose"] == choice and written["clicks"] == 2
        assert (out / choice / "report.html").is_file()
    for wrong, said in (
        (["--choose", "best"], "choose must be one of worst, suggested, random, found 'best'"),
        (["--choose", ","], "--choose ',': expected"),
        (["--clicks", "-1"], "--clicks and --time-limit must be 0 or more, found -1 and 30"),
        (["--sequences", "lost"], "lost: no such folder"),
    ):
        assert main([*command, *wrong]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main([*command[:2], "--help"])
    assert "ivs eval interactive DAVIS --scribbles" in capsys.readouterr().out
