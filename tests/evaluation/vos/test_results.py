"""Result folders in their layouts: right scores, and what is wrong is named."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from ivs_jax.cli import main
from ivs_jax.data.layouts.davis import davis_sequences, find_list
from ivs_jax.evaluation.davis import open_davis, open_pair
from ivs_jax.evaluation.vos.results import open_results, score_results
from ivs_jax.evaluation.vos.run import run_vos
from ivs_jax.io import write_palette_png
from tests.evaluation.report.test_html import Reader
from tests.evaluation.vos.test_run import LAST, load_engine, two, write_tree
from tests.plain_engine import PlainVideo

VIDEO = PlainVideo(LAST + 1)


def write_masks(folder, change, frames=range(LAST + 1)):
    """`change`: (true ids `[H, W]`, frame) -> ids to write."""
    for i in frames:
        write_palette_png(folder / f"{i:05d}.png", change(VIDEO.truth(i), i))
    return folder


def half(labels, frame):
    """Object 1 exactly, object 2 moved by 3 of its 6 pixels."""
    return np.where(labels == 1, 1, 2 * np.roll(labels == 2, 3, axis=1)).astype(np.uint8)


def score(results, **where):
    return score_results(open_results(results, **where), dataset="set", results="masks")


def test_results_are_scored_as_a_run_that_made_them(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two, "b": lambda ids, i: half(two(ids, i), i)})
    states = {}

    def remember(folder):
        states[folder.name] = load_engine(folder)
        return states[folder.name]

    run = run_vos(open_davis(root), remember, dataset="set")
    for name in "ab":  # the plain engine follows colours exactly: what it found is the true video
        write_masks(tmp_path / "results" / name, lambda ids, i: ids * (ids <= 2))
    report = score(tmp_path / "results", root=root)
    assert (report.j, report.f, report.jf) == (run.j, run.f, run.jf)
    assert report.j["mean"] == pytest.approx((1 + 1 + 1 + 1 / 3) / 4)
    assert (report.fps, report.first_frame_j, report.prompt) == (None, None, "results")


def test_files_and_page_of_results(tmp_path):
    root = write_tree(tmp_path / "davis", dict.fromkeys("abc", two))
    for name, change in (("a", half), ("b", two), ("c", lambda ids, i: ids * 0)):
        write_masks(tmp_path / "results" / name, change, range(1, LAST))  # no first, no last frame
    sequences = open_results(tmp_path / "results", root=root)
    seen = []
    report = score_results(
        sequences,
        dataset="set",
        results="masks",
        out=tmp_path / "out",
        page=tmp_path / "page",
        progress=lambda *at: seen.append(at),
    )
    assert [at[:2] for at in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["fps"] is None and written["jf"] == report.jf
    table = (tmp_path / "out" / "per_sequence.csv").read_text().splitlines()
    assert table[0].startswith("sequence,object,J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean")
    assert [line.split(",")[:2] for line in table[1:4]] == [["a", "1"], ["a", "2"], ["a", ""]]
    assert table[1].split(",")[3:6] == ["1.000000", "1.000000", "0.000000"]
    whole = (tmp_path / "out" / "global.csv").read_text().splitlines()
    assert whole[0].split(",") == table[0].split(",")[2:] and len(whole) == 2
    assert float(whole[1].split(",")[0]) == pytest.approx(report.jf, abs=1e-6)
    with Image.open(tmp_path / "out" / "strips" / "c.jpg") as strip:
        sheet = np.asarray(strip)
    assert sheet.shape[1] > 3 * 240  # the three scored frames, found above, true below
    assert "frames/s" not in (tmp_path / "out" / "report.md").read_text()

    page = Reader((tmp_path / "page" / "report.html").read_text())
    assert page.of("h2") == [
        "Sequences",
        "From the first frame on",
        "Over time",
        "Best sequences",
        "Worst sequences",
        "Objects",
    ]
    assert "frames a second" not in page.of("dt") and f"{report.jf:.3f}" in page.of("dd")
    captions = page.of("figcaption")
    assert captions[2:] == [
        "b: J&F 1.000",
        "b over time",
        f"a: J&F {report.sequences['a']['jf']:.3f}",
        "a over time",
        "c: J&F 0.000",
        "c over time",
    ]
    assert "c 2" in page.of("td")


def test_any_pair_of_folders(tmp_path):
    truth = write_masks(tmp_path / "truth", two, range(LAST))
    found = write_masks(tmp_path / "found", half, range(LAST))
    write_masks(found, two, [LAST])  # a frame without annotation does not count
    one = score(found, annotations=truth)
    assert list(one.sequences) == ["truth"] and one.sequences["truth"]["frames"] == LAST
    for name in ("x2", "x10"):
        write_masks(tmp_path / "many" / name, two, range(LAST))
        write_masks(tmp_path / "made" / name, half, range(LAST))
    many = score(tmp_path / "made", annotations=tmp_path / "many")
    assert list(many.sequences) == ["x2", "x10"] and many.jf == one.jf
    few = score(tmp_path / "made", annotations=tmp_path / "many", sequences=["x10"])
    assert list(few.sequences) == ["x10"]
    frames = tmp_path / "frames"
    frames.mkdir()
    for i in range(LAST):
        Image.fromarray(VIDEO[i]).save(frames / f"{i:05d}.png")
    run = run_vos(open_pair(frames, truth), load_engine, dataset="pair")
    assert run.j["mean"] == 1 and list(run.sequences) == ["truth"]
    with pytest.raises(ValueError, match="many: no sequence 'x3', found x2, x10"):
        open_pair(frames, tmp_path / "many", sequences=["x3"])


def test_strips_show_the_frames_where_they_are_known(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two})
    write_masks(tmp_path / "found", half)
    masks = root / "Annotations" / "480p" / "a"
    frames = root / "JPEGImages" / "480p" / "a"
    (with_frames,) = open_results(tmp_path / "found", annotations=masks, root=frames)
    assert (with_frames.image(2) == VIDEO[2]).all()
    (without,) = open_results(tmp_path / "found", annotations=masks)
    assert (without.image(2) == 128).all() and without.image(2).shape == (*VIDEO.size, 3)


def test_the_edition_of_2016_joins_all_objects(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two})
    write_masks(tmp_path / "found" / "a", lambda ids, i: np.uint8(1) * (two(ids, i) > 0))
    assert score(tmp_path / "found", root=root).j["mean"] == 0.25  # of two: 36 / 72 and nothing
    report = score(tmp_path / "found", root=root, year="2016")
    assert report.objects == 1 and report.jf == 1
    run = run_vos(open_davis(root, year="2016"), load_engine, dataset="set")
    assert run.objects == 1 and run.jf == 1


def test_lists_of_all_editions(tmp_path):
    lists = tmp_path / "ImageSets"
    for folder in ("480p", "2016", "2017"):
        (lists / folder).mkdir(parents=True)
        (lists / folder / "val.txt").write_text(f"of{folder}\n")
        expected = [f"of{folder}"]  # each later one is taken before the earlier ones
        assert [one.name for one in davis_sequences(tmp_path)] == expected
    assert [one.name for one in davis_sequences(tmp_path, year="2016")] == ["of2016"]
    (lists / "2016" / "val.txt").unlink()
    assert find_list(tmp_path, "val", year="2016") == lists / "480p" / "val.txt"
    (lists / "2017" / "val.txt").unlink()
    with pytest.raises(ValueError, match="no list of the split 'val', expected .*2017/val.txt"):
        find_list(tmp_path, "val", year="2017")


def test_what_is_wrong_is_named(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two, "b": two})
    found = tmp_path / "found"
    with pytest.raises(ValueError, match="found: no such folder"):
        open_results(found, root=root)
    with pytest.raises(ValueError, match="found: what are these scored against"):
        open_results(found)
    write_masks(found / "a", two)
    with pytest.raises(ValueError, match="b: no such folder, expected the sequence 'b'"):
        open_results(found, root=root)
    write_masks(found / "b", two, [0, 2, LAST])
    with pytest.raises(ValueError, match=r"b: no result 00001.png \(3 of 4 scored frames missing"):
        open_results(found, root=root)
    write_masks(found / "b", two)
    write_masks(found / "b", lambda ids, i: ids, [3])  # with blue, the third object
    with pytest.raises(ValueError, match="00003.png: object 3, but the annotations end at 2"):
        score(found, root=root)
    Image.new("L", (9, 7)).save(found / "b" / "00003.png")
    with pytest.raises(ValueError, match="00003.png: the mask is 9x7, expected 40x24"):
        score(found, root=root)
    (found / "b" / "00003.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="00003.png: not a readable mask"):
        score(found, root=root)


def test_guessed_colours_are_refused_in_every_thread_and_warnings_are_as_before(tmp_path):
    root = write_tree(tmp_path / "davis", {"a": two})
    write_masks(tmp_path / "found" / "a", two)
    before = list(warnings.filters)
    for frame in range(1, LAST):
        Image.new("RGB", (40, 24), (9, 8, 7)).save(tmp_path / "found" / "a" / f"{frame:05d}.png")
        with pytest.raises(ValueError, match=f"{frame:05d}.png: not the DAVIS palette"):
            score(tmp_path / "found", root=root)
        write_masks(tmp_path / "found" / "a", two, [frame])
    assert list(warnings.filters) == before


def test_the_command_scores_folders_and_writes_the_page(tmp_path, capsys):
    root = write_tree(tmp_path / "davis", {"a": two, "b": two})
    for name in "ab":
        write_masks(tmp_path / "found" / name, half)
    command = ["eval", "vos", "--results", str(tmp_path / "found")]
    masks = ["--annotations", str(root / "Annotations" / "480p")]
    page = tmp_path / "page"
    assert main([*command, *masks, "--sequences", "b", "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert "# 480p: found" in out and "| b | " in out and "| a | " not in out
    assert [path.name for path in page.iterdir()] == ["report.html"]
    assert main([*command, str(root)]) == 0
    assert "# davis val 480p: found" in capsys.readouterr().out
    assert main(command) == 2
    assert "give ROOT or --annotations" in capsys.readouterr().err
    assert main(["eval", "vos"]) == 2
    assert "give ROOT, or --results" in capsys.readouterr().err
