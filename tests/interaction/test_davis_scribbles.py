"""Scribble files of the DAVIS interactive benchmark: there and back, and every refusal."""

import json
from typing import Any

import numpy as np
import pytest

from ivs_jax.interaction import Scribble, Stroke
from ivs_jax.interaction.davis_scribbles import read_scribbles, write_scribbles
from ivs_jax.interaction.strokes import rasterise

SIZE, COUNT = (480, 854), 4


def stroke(path=((0.5, 0.5),), number: Any = 1, **more):
    return {"path": path, "object_id": number, **more}


@pytest.fixture
def file(tmp_path):
    """Writes the strokes of each frame; returns the path."""

    def write(*frames, **more):
        path = tmp_path / "001.json"
        path.write_text(json.dumps({"scribbles": frames, "sequence": "bear", **more}))
        return path

    return write


def test_positions_are_cut_to_pixels_as_the_benchmark_does(file):
    path = [[0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [0.9999, 0.0011]]
    timed = stroke(path, 2, start_time=3, end_time=20)
    found = read_scribbles(file([], [timed, stroke(number=0)], [], [stroke()]), SIZE, COUNT)
    pixels = [(int(x * 853), int(y * 479)) for x, y in path]
    assert pixels[2:] == [(426, 239), (852, 0)]
    assert found == [
        Scribble(1, (Stroke(2, tuple(pixels)), Stroke(0, ((426, 239),)))),
        Scribble(3, (Stroke(1, ((426, 239),)),)),
    ]


@pytest.mark.parametrize("size", [(480, 854), (481, 853), (1, 7), (97, 1)])
def test_what_was_written_reads_as_the_same_pixels(tmp_path, size):
    rng = np.random.default_rng(0)

    def path(n):
        return rng.uniform(-0.5, (size[1] - 0.51, size[0] - 0.51), (n, 2))

    first, second = Stroke(3, path(200)), Stroke(0, path(1))
    scribbles = [Scribble(2, (first, second)), Scribble(0, (second,)), Scribble(2, (second,))]
    write_scribbles(tmp_path / "s.json", "bear", scribbles, size, COUNT)
    record = json.loads((tmp_path / "s.json").read_text())
    assert record["sequence"] == "bear" and [len(f) for f in record["scribbles"]] == [1, 0, 3, 0]
    found = read_scribbles(tmp_path / "s.json", size, COUNT)
    assert [scribble.frame for scribble in found] == [0, 2]
    assert [s.object for s in found[1].strokes] == [3, 0, 0]
    np.testing.assert_array_equal(
        rasterise(found[1].strokes, size), rasterise([first, second, second], size)
    )


def test_every_pixel_of_a_long_side_survives(tmp_path):
    whole = Stroke(1, tuple((x, 0) for x in range(1920)))
    write_scribbles(tmp_path / "s.json", "wide", [Scribble(0, (whole,))], (2, 1920), 1)
    assert read_scribbles(tmp_path / "s.json", (2, 1920), 1) == [Scribble(0, (whole,))]


def test_a_scribble_outside_the_video_is_not_written(tmp_path):
    scribble = Scribble(4, (Stroke(1, ((0, 0),)),))
    with pytest.raises(ValueError, match=r"s\.json: scribble on frame 4, frames are 0\.\.3"):
        write_scribbles(tmp_path / "s.json", "bear", [scribble], SIZE, COUNT)
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(
    "frames, words",
    [
        ([[], [], []], "scribbles for 3 frames, the video has 4"),
        ([[], [], [], []], "no stroke in this file"),
        ([[], {}, [], []], "frame 1: expected a list of strokes"),
        (
            [[], [stroke(), 7], [], []],
            "frame 1, stroke 1: expected .path. and .object_id., f.* 7",
        ),
        ([[{"path": [[0, 0]]}], [], [], []], "frame 0, stroke 0: expected 'path' and 'object_id'"),
        ([[stroke(colour="red")], [], [], []], "frame 0, stroke 0: unknown field 'colour'"),
        ([[stroke(number=255)], [], [], []], r"stroke 0: object_id must be 0\.\.254, found 255"),
        ([[stroke(number=-1)], [], [], []], "found -1"),
        ([[stroke(number="cat")], [], [], []], "whole number, got 'cat'"),
        ([[stroke(path=[])], [], [], []], "frame 0, stroke 0: stroke path must have a point"),
        ([[stroke(path=[[1, 2, 3]])], [], [], []], "path must be points"),
        ([[stroke(path="walk")], [], [], []], "path must be points"),
        ([[stroke(path=[[0.1, 1.01]])], [], [], []], r"position \[0.1, 1.01\] is outside"),
        ([[stroke(path=[[-0.01, 0]])], [], [], []], "outside the frame, expected 0..1"),
    ],
)
def test_malformed_files_name_the_place(file, frames, words):
    path = file(*frames)
    with pytest.raises(ValueError, match=words) as caught:
        read_scribbles(path, SIZE, COUNT)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"{", "not a scribble file"),
        (b"\xff\xfe", "not a scribble file"),
        (b"[]", "expected an object with a list 'scribbles'"),
        (b'{"scribbles": {}}', "expected an object with a list 'scribbles'"),
        (b'{"scribbles": [], "user": "me"}', "unknown field 'user'"),
    ],
)
def test_what_is_no_scribble_file(tmp_path, content, words):
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_scribbles(tmp_path / "s.json", SIZE, COUNT)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match="none.json: no such scribble file"):
        read_scribbles(tmp_path / "none.json", SIZE, COUNT)
    with pytest.raises(ValueError, match="cannot be read"):
        read_scribbles(tmp_path, SIZE, COUNT)


def test_real_files(shared_data):
    """Strokes of people, drawn on the first or another frame."""
    files = sorted((shared_data / "davis" / "Scribbles").glob("*/*.json"))
    assert files
    for path in files:
        count = len(json.loads(path.read_text())["scribbles"])
        for scribble in read_scribbles(path, SIZE, count):
            labels = rasterise(scribble.strokes, SIZE)
            assert 20 < (labels != 255).sum() < 0.1 * labels.size
