"""The command line on an engine without networks: what it writes, says and returns."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ivs_jax.cli import main
from ivs_jax.cli.parse import parse_click, parse_exports, parse_mask
from ivs_jax.interaction import Click, Scribble, Stroke
from ivs_jax.interaction.davis_scribbles import write_scribbles
from ivs_jax.io import VideoError, write_palette_png
from ivs_jax.session import Engine
from tests.plain_engine import MeasuredInteractor, PlainInteractor, PlainPropagator, PlainVideo

VIDEO = PlainVideo()
CLICK = ["--click", "0:1:6,3"]


class Propagator(PlainPropagator):
    """Calls `trouble(frame)` before it goes on after each frame."""

    def __init__(self, trouble):
        super().__init__()
        self.trouble = trouble

    def propagate(self, *args, **options):
        for frame, probabilities in super().propagate(*args, **options):
            yield frame, probabilities
            self.trouble(frame)


@pytest.fixture
def engines(monkeypatch):
    """Puts plain engines in the place of the networks; the list holds what was asked for."""
    asked: list[Any] = []
    build: Any = ModuleType("ivs_jax.session.build")
    build.trouble = lambda frame: None

    def load_engine(video, **options):
        asked.append(options)
        return Engine(video, PlainInteractor(), Propagator(build.trouble), str(options["refine"]))

    build.load_engine, build.asked = load_engine, asked
    build.load_interactor = lambda model, **options: MeasuredInteractor()
    monkeypatch.setitem(sys.modules, "ivs_jax.session.build", build)
    monkeypatch.setenv("COLUMNS", "120")
    return build


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for i in range(len(VIDEO)):
        Image.fromarray(VIDEO[i]).save(folder / f"img{i}.png")
    return folder


def run(*args):
    return main([str(arg) for arg in args])


def labels(out, frame):
    return np.asarray(Image.open(out / "masks" / f"img{frame}.png"))


def error_of(capsys):
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert text.startswith("ivs: error: ")
    return text


@pytest.mark.parametrize(
    "text, click",
    [
        ("0:1:320,200", Click(0, 1, 320, 200)),
        ("12:254:3.5,.5:-", Click(12, 254, 3.5, 0.5, 0)),
        ("0:1:3,4:+", Click(0, 1, 3, 4)),
        (" 0 : 1 : 3, 4 ", Click(0, 1, 3, 4)),
        ("0:1:-2,4", Click(0, 1, -2, 4)),
    ],
)
def test_clicks_are_read(text, click):
    assert parse_click(text) == click


@pytest.mark.parametrize("text", ["", "0:1", "0:1:3", "0:1:3,4:x", "a:1:3,4", "1:3,4"])
def test_other_clicks_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"--click {text!r}") + ".*e.g. 0:1:320,200"):
        parse_click(text)


def test_masks_and_exports_are_read():
    assert parse_mask("3:a:b.png") == (3, Path("a:b.png"))
    for text in ("a.png", "x:a.png", "3:", "-1:a.png"):
        with pytest.raises(ValueError, match="expected FRAME:PATH"):
            parse_mask(text)
    assert parse_exports("coco, palette,coco") == ("palette", "coco")
    for text in ("", "gif", "palette,gif"):
        with pytest.raises(ValueError, match="palette, objects, coco, rgba"):
            parse_exports(text)


def test_segment_writes_everything(engines, frames, tmp_path, capsys):
    out = tmp_path / "out"
    code = run(
        "segment", frames, *CLICK, "--click", "0:2:6,11", "--click", "0:2:30,20:-",
        "--out", out, "--export", "palette,objects,coco,rgba", "--overlay", out / "film.mp4",
        "--sheet", out / "sheet.png", "--refine", "NoBRS",
    )  # fmt: skip
    assert code == 0
    for i in range(8):
        truth = VIDEO.truth(i)
        np.testing.assert_array_equal(labels(out, i), np.where(truth == 3, 0, truth))
        second = np.asarray(Image.open(out / "objects" / "002" / f"img{i}.png"))
        np.testing.assert_array_equal(second == 255, truth == 2)
        alpha = np.asarray(Image.open(out / "rgba" / "001" / f"img{i}.png"))[..., 3]
        np.testing.assert_array_equal(alpha == 255, truth == 1)
    assert len(json.loads((out / "coco.json").read_text())["frames"]) == 8
    with av.open(str(out / "film.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 8
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 3 * 320  # four frames a row
    assert len(json.loads((out / "session.json").read_text())["events"]) == 4
    names = {"model": "click-small", "interaction": None, "propagation": None, "refine": "NoBRS"}
    assert engines.asked == [names | {"budget": 60, "weights": ()}]
    table = capsys.readouterr().out
    for row in (
        "objects.*1, 2",
        "frames with masks.*8 of 8",
        "clicks satisfied.*3 of 3",
        "evaluations.*9",
        "time: refine.*1.50 s",
        "time: compile",
        "time: propagate",
        "propagated.*7 frames",
    ):
        assert re.search(row, table), row


def test_a_mask_image_starts_objects(engines, frames, tmp_path):
    write_palette_png(tmp_path / "m.png", VIDEO.truth(2))
    out = tmp_path / "out"
    assert run("segment", frames, "--mask", f"2:{tmp_path / 'm.png'}", "--out", out) == 0
    for i in range(8):
        np.testing.assert_array_equal(labels(out, i), VIDEO.truth(i))


def test_scribbles_of_several_frames(engines, frames, tmp_path, capsys):
    strokes = (Stroke(1, ((6, 3), (7, 3))), Stroke(2, ((6, 11), (7, 11))))
    later = Scribble(5, (Stroke(3, ((11, 19), (12, 19))), Stroke(0, ((30, 2), (38, 2)))))
    path, out = tmp_path / "001.json", tmp_path / "out"
    write_scribbles(path, "walk", [Scribble(0, strokes), later], VIDEO.size, len(VIDEO))
    film = ("--overlay", out / "film.mp4")
    assert run("segment", frames, "--scribbles", path, "--out", out, *film) == 0
    np.testing.assert_array_equal(labels(out, 0) % 3, VIDEO.truth(0) % 3)
    np.testing.assert_array_equal(labels(out, 7), VIDEO.truth(7))
    kinds = [e["kind"] for e in json.loads((out / "session.json").read_text())["events"]]
    assert kinds == ["scribble", "scribble", "propagate"]
    assert re.search("strokes satisfied.*15 of 15 pixels", capsys.readouterr().out)


def test_scribbles_for_another_video_are_refused(engines, frames, tmp_path, capsys):
    path = tmp_path / "001.json"
    write_scribbles(path, "walk", [Scribble(0, (Stroke(1, ((6, 3),)),))], VIDEO.size, 5)
    assert run("segment", frames, "--scribbles", path) == 2
    assert error_of(capsys).endswith("001.json: scribbles for 5 frames, the video has 8")


def test_no_propagation(engines, frames, tmp_path):
    session = tmp_path / "s" / "mine.json"
    out = tmp_path / "out"
    args = ("segment", frames, *CLICK, "--no-propagate", "--out", out, "--session", session)
    assert run(*args) == 0
    assert [p.name for p in (out / "masks").iterdir()] == ["img0.png"]
    assert session.exists() and not (out / "session.json").exists()


def test_one_image_is_a_video_of_one_frame(engines, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("segment", frames / "img0.png", *CLICK) == 0
    np.testing.assert_array_equal(labels(tmp_path / "ivs_out" / "img0", 0), VIDEO.truth(0) == 1)


def test_resume_goes_on_where_it_stopped(engines, frames, tmp_path):
    out, again = tmp_path / "out", tmp_path / "again"
    assert run("segment", frames, *CLICK, "--out", out) == 0
    saved = out / "session.json"
    assert run("segment", frames, "--resume", saved, "--out", again) == 0
    for i in range(8):
        np.testing.assert_array_equal(labels(out, i), labels(again, i))
    assert (again / "session.json").read_text() == saved.read_text()
    correct = ("--click", "4:1:30,22", "--out", again)
    assert run("segment", frames, "--resume", saved, *correct) == 0
    kinds = [e["kind"] for e in json.loads((again / "session.json").read_text())["events"]]
    assert kinds == ["click", "propagate", "click", "propagate"]
    assert labels(again, 4)[22, 30] == 1 and labels(out, 4)[22, 30] == 0


def test_corrections_of_a_propagated_session_are_rounds(engines, frames, tmp_path):
    out = tmp_path / "out"
    assert run("segment", frames, *CLICK, "--out", out) == 0
    clicks = [word for at in ("6:1:12,3", "2:1:8,3", "6:1:30,22:-") for word in ("--click", at)]
    names = ("--interaction", "ipn-small", "--propagation", "stm-small")
    saved = out / "session.json"
    assert run("segment", frames, "--resume", saved, *clicks, *names, "--out", out) == 0
    assert engines.asked[-1]["interaction"] == "ipn-small"
    events = json.loads(saved.read_text())["events"]
    rounds = [(e["start"], e["span"]) for e in events if e["kind"] == "propagate"]
    assert rounds == [(0, "video"), (2, "round"), (6, "round")]  # in the order of marking


def test_frames_to_look_at_next_are_named(engines, frames, tmp_path, capsys):
    assert run("segment", frames, *CLICK, "--out", tmp_path, "--suggest", "3") == 0
    found = re.search(r"look at next\s.*?((\d) \(0\.\d\d\)(, )?){3}\s", capsys.readouterr().out)
    assert found is not None
    args = ("segment", frames, *CLICK, "--out", tmp_path, "--no-propagate")
    assert run(*args, "--suggest", "1") == 0
    assert "none: no other frame was propagated" in capsys.readouterr().out
    assert run(*args, "--suggest", "-1") == 2
    assert "--suggest must not be negative, got -1" in error_of(capsys)


def test_resume_with_another_engine_is_refused(engines, frames, tmp_path, capsys):
    assert run("segment", frames, *CLICK, "--refine", "BRS", "--out", tmp_path) == 0
    saved = tmp_path / "session.json"
    assert run("segment", frames, "--resume", saved, "--refine", "NoBRS", "--out", tmp_path) == 2
    assert "engine 'BRS', here it is 'NoBRS'" in error_of(capsys)


def test_ctrl_c_keeps_what_was_done(engines, frames, tmp_path):
    def trouble(frame):
        if frame == 3:
            os.kill(os.getpid(), signal.SIGINT)

    engines.trouble = trouble
    before = signal.getsignal(signal.SIGINT)
    assert run("segment", frames, *CLICK, "--out", tmp_path / "out") == 130
    assert signal.getsignal(signal.SIGINT) is before
    written = sorted(p.name for p in (tmp_path / "out" / "masks").iterdir())
    assert written == [f"img{i}.png" for i in range(5)]
    last = json.loads((tmp_path / "out" / "session.json").read_text())["events"][-1]
    assert last["kind"] == "propagate" and last["done"] == [4, 0]


def test_a_bad_frame_ends_the_run_but_not_the_work(engines, frames, tmp_path, capsys):
    def trouble(frame):
        if frame == 3:
            raise VideoError("walk: frame 4 (img4.png): damaged")

    engines.trouble = trouble
    assert run("segment", frames, *CLICK, "--out", tmp_path / "out") == 2
    assert error_of(capsys) == "ivs: error: walk: frame 4 (img4.png): damaged"
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 4


@pytest.mark.parametrize(
    "args, words",
    [
        (["segment", "FRAMES"], "nothing to segment: give --click"),
        (["segment", "FRAMES", "--click", "0:1:99,3"], "outside the frame"),
        (["segment", "FRAMES", "--click", "99:1:9,3"], "frame 99"),
        (["segment", "FRAMES", "--click", "zero"], "--click 'zero'"),
        (["segment", "FRAMES", *CLICK, "--export", "gif"], "--export 'gif'"),
        (["segment", "FRAMES", "--mask", "0:none.png"], "none.png"),
        (["segment", "FRAMES", *CLICK, "--overlay", "film.gif"], "film.gif"),
        (["segment", "FRAMES", "--resume", "none.json"], "none.json: no such session file"),
        (["segment", "nowhere.mp4", *CLICK], "nowhere.mp4"),
        (["eval", "noc", "nowhere"], "nowhere"),
        (["eval", "vos", "nowhere"], "nowhere"),
    ],
)
def test_errors_are_one_line(engines, frames, args, words, capsys, monkeypatch):
    monkeypatch.chdir(frames.parent)
    assert run(*(frames if arg == "FRAMES" else arg for arg in args)) == 2
    assert words in error_of(capsys)


def test_a_click_or_mask_without_object_pixels_is_refused(engines, frames, tmp_path, capsys):
    write_palette_png(tmp_path / "m.png", np.zeros(VIDEO.size, np.uint8))
    assert run("segment", frames, "--mask", f"0:{tmp_path / 'm.png'}") == 2
    assert "no object in this mask" in error_of(capsys)


@pytest.mark.parametrize("args", [[], ["segment", "x", "--clik", "1"], ["dance"]])
def test_wrong_usage_is_told_by_exit_code_2(args, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*args)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "args",
    [["--help"], ["segment", "--help"], ["eval", "noc", "--help"], ["eval", "vos", "--help"]],
)
def test_help_has_examples(args, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*args)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text and re.search(r"\bivs (segment|eval (noc|vos)) \S+ ", text)


def test_info_tells_places_and_devices(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run("info") == 0
    text = capsys.readouterr().out
    assert "compilation cache" in text and re.search(r"devices\s.*cpu:0", text)
    assert re.search(r"jax\s.*\d+\.\d+", text)


def test_eval_noc_prints_its_report(engines, tmp_path, capsys):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(VIDEO[0]).save(tmp_path / "images" / "a.png")
    mask = np.where(VIDEO.truth(0) == 1, 255, 0).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    assert run("eval", "noc", tmp_path, "--refine", "NoBRS", "--out", tmp_path / "report") == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["noc"]["85"] == 1 and report["objects"] == 1
    assert "85 %" in capsys.readouterr().out


@pytest.mark.parametrize("prompt", ["mask", "clicks"])
def test_eval_vos_prints_its_report(engines, tmp_path, capsys, prompt):
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p" / "walk").mkdir(parents=True)
    for i in range(5):
        image = Image.fromarray(VIDEO[i])
        image.save(tmp_path / "JPEGImages" / "480p" / "walk" / f"{i:05d}.jpg", quality=100)
        write_palette_png(
            tmp_path / "Annotations" / "480p" / "walk" / f"{i:05d}.png", VIDEO.truth(i)
        )
    assert run("eval", "vos", tmp_path, "--sequences", "walk", "--prompt", prompt) == 0
    assert re.search(r"walk \| 0\.9\d|walk \| 1\.0", capsys.readouterr().out)
