"""Scores of whole sequences against plain loops, and the rule of the first and the last frame."""

import threading
from typing import Any

import numpy as np
import pytest

from ivs_jax.evaluation.report.pictures import extremes
from ivs_jax.evaluation.vos.record import Measured, summarise
from ivs_jax.evaluation.vos.scores import (
    ObjectScores,
    SequenceScores,
    objects_of,
    score_frames,
    scored_frames,
)
from tests.evaluation.plain_scores import plain_f, plain_iou, plain_statistics

SIZE = (15, 22)


def moving(rng, count, objects):
    """`count` frames of ids `[H, W]`: ellipses that wander, vanish now and then, and overlap."""
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    at = rng.random((objects, 2)) * SIZE
    frames = []
    for _ in range(count):
        labels = np.zeros(SIZE, np.uint8)
        at += rng.normal(0, 1.5, at.shape)
        for number in range(1, objects + 1):
            radius = rng.uniform(2, 6)
            inside = ((np.dstack([yy, xx]) - at[number - 1]) ** 2).sum(-1) < radius**2
            labels[inside & (rng.random() < 0.9)] = number
        frames.append(labels)
    return frames


@pytest.mark.parametrize("seed", range(4))
def test_every_score_and_statistic_equals_the_plain_reference(seed):
    rng = np.random.default_rng(seed)
    expected_j, expected_f, measured = [], [], Measured()
    for name, count, objects in (("short", 3, 1), ("long", 11, 2), ("odd", 8, 3)):
        truth, found = moving(rng, count, objects), moving(rng, count, objects)
        found = [np.where(rng.random(SIZE) < 0.6, t, f) for t, f in zip(truth, found, strict=True)]
        ids, frames = list(range(1, objects + 1)), scored_frames(count)
        j, f = score_frames(truth.__getitem__, found.__getitem__, ids, frames)
        for row, number in enumerate(ids):
            pairs = [(found[t] == number, truth[t] == number) for t in range(1, count - 1)]
            plain_j = [plain_iou(*pair) for pair in pairs]
            plain = [plain_f(*pair, 0.008) for pair in pairs]
            assert j[row] == pytest.approx(plain_j, abs=1e-9)
            assert f[row] == pytest.approx(plain, abs=1e-6)
            expected_j.append(plain_statistics(plain_j))
            expected_f.append(plain_statistics(plain))
        scores = {number: ObjectScores(j[row], f[row]) for row, number in enumerate(ids)}
        measured.add(name, SequenceScores(name, scores, count))
    report = summarise(measured, dataset="", prompt="results", clicks=0, model="", device="")
    assert list(report.j.values()) == pytest.approx(np.mean(expected_j, axis=0), abs=1e-9)
    assert list(report.f.values()) == pytest.approx(np.mean(expected_f, axis=0), abs=1e-6)
    assert report.jf == pytest.approx((report.j["mean"] + report.f["mean"]) / 2)
    two = report.sequences["long"]  # each sequence alone: the mean over its own objects
    assert list(two["j"].values()) == pytest.approx(np.mean(expected_j[1:3], axis=0), abs=1e-9)
    assert list(two["objects"]["2"]["f"].values()) == pytest.approx(expected_f[2], abs=1e-6)


def test_the_first_and_the_last_frame_are_never_looked_at():
    asked = []
    labels = np.eye(6, dtype=np.uint8)

    def seen(frame):
        asked.append(frame)
        return labels

    j, f = score_frames(seen, lambda frame: labels, [1], scored_frames(5))
    assert sorted(asked) == [1, 2, 3] and j.tolist() == f.tolist() == [[1, 1, 1]]
    assert list(scored_frames(3)) == [1]


def test_frames_keep_their_place_whatever_thread_is_first():
    """Earlier frames wait for later ones, as far as there are threads."""
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    later = threading.Event()

    def found(frame):
        if frame == 2:
            later.set()
        elif frame == 1:
            later.wait(0.5)
        return truth * (np.arange(8)[:, None] < 2 + frame)  # `frame` of 4 rows are right

    j, _ = score_frames(lambda frame: truth, found, [1, 7], [1, 2, 3, 4])
    assert j.tolist() == [[0.25, 0.5, 0.75, 1], [1, 1, 1, 1]]  # an absent object is found absent


def test_errors_of_readers_are_raised():
    def broken(frame):
        raise ValueError(f"{frame}: not a mask")

    with pytest.raises(ValueError, match="1: not a mask"):
        score_frames(broken, broken, [1], [1, 2])


def test_the_speed_leaves_the_first_sequence_out_which_compiles():
    one = {1: ObjectScores(np.ones(1), np.ones(1), 0.5)}
    measured = Measured()
    measured.add("a", SequenceScores("a", one, 11, 100.0))
    measured.add("none", None)
    facts: dict[str, Any] = {"dataset": "", "prompt": "clicks", "clicks": 1}
    facts |= {"model": "", "device": ""}
    assert summarise(measured, **facts).fps == pytest.approx(0.1)
    measured.add("b", SequenceScores("b", one, 11, 2.0))
    report = summarise(measured, **facts)
    assert report.fps == 5 and report.sequences["a"]["fps"] == 0.1 and report.first_frame_j == 0.5
    assert report.skipped == [{"name": "none", "reason": "no object on the first frame"}]


def test_objects_and_extremes():
    assert objects_of(np.array([[0, 3], [1, 3]], np.uint8)) == [1, 3]
    scores = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.4, "e": 0.8}
    assert extremes(scores) == (["b", "e"], ["a", "d"])
    assert extremes({"a": 0.1, "b": 0.2, "c": 0.3}) == (["c", "b"], ["a"])
    assert extremes({"a": 0.1}) == (["a"], []) and extremes({}) == ([], [])
