"""`ivs data`: build, list, show."""

import sys

import numpy as np
import pytest
from PIL import Image

from ivs_jax.cli import main
from tests.data import trees


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def run(capsys, *args):
    """Exit code, what stdout says with single spaces, stderr."""
    code = main(["data", *map(str, args)])
    out, err = capsys.readouterr()
    return code, " ".join(out.split()), err


def test_build_list_show(tmp_path, capsys):
    files, data, sheet = tmp_path / "files", tmp_path / "data", tmp_path / "sheet.png"
    trees.davis2017(files)
    code, out, _ = run(capsys, "list", "--data", data)
    assert code == 0 and "see ivs data build" in out and "cocodataset.org" in out
    build = ("build", "davis2017", "--manual-dir", files, "--data", data)
    code, out, err = run(capsys, *build, "--splits", "val", "train")
    assert code == 0 and "train │ 1 records" in out and "test-dev" not in out
    code, out, _ = run(capsys, "list", "--data", data)
    assert "davis2017 │ 1 val, 1 train" in out
    code, out, _ = run(capsys, "show", "davis2017/train", "--data", data, "-n", 3, "-o", sheet)
    assert code == 0 and "davis2017/train: 1 in all" in out
    with Image.open(sheet) as picture:
        assert picture.size == (332, 16 + 213 + 12)
    code, _, err = run(capsys, *build)
    assert code == 2 and "davis2017 is built already" in err


def test_show_a_set_that_was_not_built(tmp_path, capsys):
    trees.images(tmp_path / "own")
    trees.write(tmp_path / "own/masks/many.png", np.where(trees.TWO == 2, 255, trees.TWO))
    sheet = tmp_path / "sheet.png"
    code, _, _ = run(capsys, "show", "own", "--kind", "stills", "--data", tmp_path, "-o", sheet)
    assert code == 0
    with Image.open(sheet) as picture:
        assert picture.width == 2 * 326 + 6  # both images, side by side
        grey = (np.asarray(picture) == 160).all(-1).sum()
    assert grey > 500  # the void of one of them
    code, _, err = run(capsys, "show", "sbd", "--data", tmp_path)
    assert code == 2 and "no built set 'sbd'" in err and "found none" in err
    code, _, err = run(capsys, "show", "own", "--kind", "stills", "--data", tmp_path, "-n", 0)
    assert code == 2 and "count is 0, expected at least 1" in err


def test_skipped_records_are_counted_and_listed(tmp_path, capsys):
    trees.images(tmp_path / "files")
    for number in range(25):
        trees.write(tmp_path / "files" / "images" / f"alone{number}.png", trees.PHOTO)
    build = ("build", "images", "--manual-dir", tmp_path / "files", "--data", tmp_path)
    code, _, err = run(capsys, *build)
    assert code == 2 and "images/train: " in err and "masks/alone0.png: no such file" in err
    code, out, err = run(capsys, *build, "--skip-bad")
    assert code == 0 and "skipped │ 25" in out
    assert err.count("skipped images/") == 0 and err.count("skipped train/alone") == 20
    assert "all 25: " in err
    lines = (tmp_path / "tfds/images/1.0.0/skipped.txt").read_text().splitlines()
    assert len(lines) == 25


def test_without_the_extra_the_error_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    for name in [n for n in sys.modules if n.startswith("ivs_jax.data.builders.")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run(capsys, "build", "sbd", "--manual-dir", tmp_path, "--data", tmp_path)
    assert code == 2 and "pip install 'ivs_jax[data]'" in err
