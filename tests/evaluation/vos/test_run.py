"""The DAVIS protocol on tiny trees, with an engine that follows colours exactly."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from ivs_jax.evaluation.boundary import f_measure
from ivs_jax.evaluation.davis import open_davis, read_objects
from ivs_jax.evaluation.vos.run import own_overlap, run_vos
from ivs_jax.io.frames import open_video
from ivs_jax.session import Engine
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo

LAST = 5


def write_tree(root, sequences, split="val"):
    """`sequences`: name -> function of (true ids `[H, W]`, frame) that makes the annotation."""
    video = PlainVideo(LAST + 1)
    (root / "ImageSets" / "2016").mkdir(parents=True)
    (root / "ImageSets" / "2016" / f"{split}.txt").write_text("\n".join(sequences) + "\n")
    for name, change in sequences.items():
        frames, masks = (root / part / "480p" / name for part in ("JPEGImages", "Annotations"))
        frames.mkdir(parents=True)
        masks.mkdir(parents=True)
        for i in range(LAST + 1):
            Image.fromarray(video[i]).save(frames / f"{i:05d}.png")
            ids = Image.fromarray(change(video.truth(i), i))
            ids.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
            ids.save(masks / f"{i:05d}.png")
    return root


def load_engine(folder):
    return Engine(open_video(folder), PlainInteractor(), PlainPropagator(), "plain")


def two(labels, frame):
    """Red and green, with an annotation of the last frame that no protocol may look at."""
    return np.where(labels <= 2, labels, 0).astype(np.uint8) if frame < LAST else labels * 0


def shifted(labels, frame):
    """Red only; from frame 1 the truth lies three pixels beside what the colours say."""
    return np.roll((labels == 1).astype(np.uint8), 3 * (frame > 0), axis=1)


def test_scores_are_those_made_by_construction(tmp_path):
    root = write_tree(tmp_path / "davis", {"exact": two, "shifted": shifted})
    seen: list[tuple[int, int, str]] = []
    report = run_vos(
        open_davis(root),
        load_engine,
        dataset="davis val",
        out=tmp_path,
        page=tmp_path,
        own=True,
        progress=lambda *a: seen.append(a),
    )
    # A 6 x 6 square against itself moved by 3: J = 18 / 54. Three objects in all, not two halves.
    assert report.sequences["exact"]["j"] == {"mean": 1.0, "recall": 1.0, "decay": 0.0}
    assert report.sequences["shifted"]["j"]["mean"] == pytest.approx(1 / 3)
    assert report.sequences["shifted"]["j"]["recall"] == 0
    assert report.j["mean"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    box = PlainVideo().truth(2) == 1
    expected_f = f_measure(box, np.roll(box, 3, axis=1))
    assert 0 < expected_f < 1 and report.f["mean"] == pytest.approx((2 + expected_f) / 3)
    assert report.jf == pytest.approx((report.j["mean"] + report.f["mean"]) / 2)
    assert report.first_frame_j == 1 and report.objects == 3 and report.fps
    # Colours give frame 0 back; three frames of the shifted square follow, or as many as there are.
    assert report.own_j == 1
    assert report.first_j == {n: pytest.approx((2 + 1 / 3) / 3) for n in ("1", "5", "10", "25")}
    assert seen[-1] == (LAST, LAST, "shifted") and len(seen) == 2 * LAST

    written = json.loads((tmp_path / "report.json").read_text())
    assert written["jf"] == report.jf and written["sequences"]["exact"]["frames"] == LAST + 1
    assert set(written["sequences"]["exact"]["objects"]) == {"1", "2"}
    rows = list(csv.DictReader((tmp_path / "per_frame.csv").read_text().splitlines()))
    assert len(rows) == 3 * (LAST - 1) and {row["frame"] for row in rows} == set("1234")
    text = (tmp_path / "report.md").read_text()
    assert "| shifted |" in text
    assert "| frame 0 as prompted | frame 0 from its own mask | frames 1 to 1 |" in text
    for picture in ("plots/exact.png", "strips/shifted.jpg"):
        with Image.open(tmp_path / picture) as image:
            assert image.size[0] > 400
    page = (tmp_path / "report.html").read_text()
    assert "davis val: plain" in page and "Best sequences" in page and "exact: J&amp;F 1" in page


def test_a_mask_that_the_propagator_does_not_give_back_is_seen(tmp_path):
    engine = load_engine(write_tree(tmp_path / "davis", {"one": two}) / "JPEGImages/480p/one")
    truth = PlainVideo().truth(0)
    assert own_overlap(engine, truth, [1, 2]) == {1: 1, 2: 1}
    moved = np.roll(np.where(truth <= 2, truth, 0).astype(np.uint8), 3, axis=1)
    # The propagator goes by the colour of each given mask: most of the moved square is still red.
    assert own_overlap(engine, moved, [1])[1] < 1


def test_click_prompt_uses_the_robot_and_the_session(tmp_path):
    root = write_tree(tmp_path / "davis", {"exact": two})
    engines = []

    def remember(folder):
        engines.append(load_engine(folder))
        return engines[-1]

    report = run_vos(open_davis(root), remember, dataset="", prompt="clicks", clicks=3)
    calls = [number for number, _ in engines[0].interactor.calls]
    assert calls == [1, 1]  # one click finds a square, so no second one is made
    assert report.first_frame_j == 1 and report.j["mean"] == 1 and report.clicks == 3


def test_sequences_without_object_are_listed(tmp_path):
    root = write_tree(tmp_path / "davis", {"none": lambda ids, i: ids * 0, "exact": two})
    report = run_vos(open_davis(root), load_engine, dataset="")
    assert report.skipped == [{"name": "none", "reason": "no object on the first frame"}]
    assert list(report.sequences) == ["exact"] and report.j["mean"] == 1
    with pytest.raises(ValueError, match="no sequence could be measured"):
        run_vos(open_davis(root, sequences=["none"]), load_engine, dataset="")


def test_missing_and_unfitting_files_are_named(tmp_path):
    root = write_tree(tmp_path / "davis", {"exact": two})
    with pytest.raises(ValueError, match="no list of the split 'test'"):
        open_davis(root, split="test")
    with pytest.raises(ValueError, match="lost: no such folder"):
        open_davis(root, sequences=["lost"])
    with pytest.raises(ValueError, match="clicks >= 1, found 'mask' and 0"):
        run_vos([], load_engine, dataset="", clicks=0)
    masks = root / "Annotations" / "480p" / "exact"
    Image.new("P", (7, 5)).save(masks / "00002.png")
    with pytest.raises(ValueError, match="00002.png: the mask is 7x5, expected 40x24"):
        run_vos(open_davis(root), load_engine, dataset="")
    (masks / "00002.png").unlink()
    with pytest.raises(ValueError, match=r"exact: no 00002.png \(1 of 6 missing\)"):
        run_vos(open_davis(root), load_engine, dataset="")


def test_splits_and_annotations_of_both_editions_are_read(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two, "b": two})
    line = "/JPEGImages/480p/{0}/00000.jpg /Annotations/480p/{0}/00000.png\n"
    listed = "".join(line.format(name) for name in "aabb")
    (root / "ImageSets" / "2016" / "val.txt").write_text(listed)
    assert [sequence.name for sequence in open_davis(root)] == ["a", "b"]
    file = tmp_path / "ids.png"
    for grey, expected in (([0, 255], [0, 1]), ([0, 2], [0, 2]), ([3, 255], [3, 0])):
        Image.fromarray(np.array([grey], np.uint8)).save(file)
        assert read_objects(file, (1, 2)).tolist() == [expected]
    Image.new("RGB", (2, 1), (9, 8, 7)).save(file)
    with pytest.raises(ValueError, match="ids.png: not the DAVIS palette"):
        read_objects(file, (1, 2))


def test_truth_against_itself_on_real_data(shared_data):
    sequence = open_davis(shared_data / "davis", sequences=["tennis"])[0]
    truth = read_objects(sequence.annotations[0], (480, 854)) == 1
    assert 1000 < truth.sum() < truth.size and f_measure(truth, truth) == 1
