"""The logs of a run: lines, means, curves and TensorBoard events."""

import sys

import numpy as np
import pytest
from PIL import Image

from ivs_jax.training.log import Events, Journal, Means, Table, plot_curves, read_table


def test_lines_go_on_after_the_step_of_the_checkpoint(tmp_path):
    path = tmp_path / "new" / "training.csv"
    path.parent.mkdir()
    table = Table(path, step=0)
    for step in (5, 10, 15):
        table.add({"step": step, "loss": 1 / step})
    again = Table(path, step=10)  # killed after line 15, its last checkpoint is of step 12
    again.add({"step": 15, "loss": 0.25})
    assert read_table(path) == [
        {"step": "5", "loss": "0.2"},
        {"step": "10", "loss": "0.1"},
        {"step": "15", "loss": "0.25"},
    ]


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text("step,loss,iou\n5,0.5,0.1\n10,0.2")
    assert [row["step"] for row in read_table(path)] == ["5"]
    path.write_text("step,loss,iou\n5,0.5,0.1\n10,0.2\n")
    assert [row["step"] for row in read_table(path)] == ["5"]
    Table(path, step=20).add({"step": 12, "loss": 0.1, "iou": 0.3})
    assert [row["step"] for row in read_table(path)] == ["5", "12"]
    assert read_table(tmp_path / "none.csv") == []


def test_a_line_with_other_columns_is_refused(tmp_path):
    table = Table(tmp_path / "t.csv", step=0)
    table.add({"step": 1, "loss": 0.5})
    with pytest.raises(ValueError, match=r"t\.csv: a line with step, iou, its columns are step, l"):
        table.add({"step": 2, "iou": 0.5})


def test_means_start_again_and_survive_in_a_checkpoint():
    values = np.random.default_rng(0).random(7)
    whole, first = Means(), Means()
    for value in values:
        whole.add({"loss": value})
    for value in values[:3]:
        first.add({"loss": value})
    second = Means(first.sums, first.count)
    for value in values[3:]:
        second.add({"loss": value})
    mean = whole.take()
    assert mean == second.take()  # to the last bit
    assert mean["loss"] == pytest.approx(values.mean())
    whole.add({"loss": 3.0})
    assert whole.take() == {"loss": 3.0}


def _rows(path, steps, value):
    table = Table(path, step=0)
    for step in steps:
        table.add({"step": step, "minutes": 1, "loss": value / step})


def test_curves_of_training_and_validation_are_drawn(tmp_path):
    assert plot_curves(tmp_path) is None
    _rows(tmp_path / "training.csv", range(10, 500, 10), 5.0)
    assert plot_curves(tmp_path) == tmp_path / "curves.png"
    with Image.open(tmp_path / "curves.png") as image:
        alone = np.asarray(image)
    _rows(tmp_path / "validation.csv", (100, 300), 9.0)
    plot_curves(tmp_path)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == alone.shape[1::-1]
        assert (np.asarray(image) != alone).any()


def test_without_tensorboardx_the_rest_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    events = Events(tmp_path / "tensorboard", step=0)
    events.scalars("training", {"loss": 1.0}, 1)
    events.picture("examples", np.zeros((4, 4, 3), np.uint8), 1)
    events.close()
    assert "pip install tensorboardX" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    journal = Journal(tmp_path, step=0)
    journal.training(5, {"loss": 0.5}, {"minutes": 0.1})
    journal.validation(5, {"iou": 0.25}, np.full((4, 6, 3), 200, np.uint8))
    journal.close()
    again = Journal(tmp_path, step=5)
    again.training(10, {"loss": 0.125}, {"minutes": 0.2})
    again.close()
    found, purged = {}, []
    for file in sorted((tmp_path / "tensorboard").iterdir()):
        for event in map(Event.FromString, _records(file.read_bytes())):
            purged += [event.step] if event.HasField("session_log") else []
            for value in event.summary.value:
                found[value.tag, event.step] = value
    assert found["training/loss", 5].simple_value == 0.5
    assert found["training/loss", 10].simple_value == 0.125
    assert found["validation/iou", 5].simple_value == 0.25
    assert found["time/minutes", 10].simple_value == pytest.approx(0.2)
    assert (found["examples", 5].image.height, found["examples", 5].image.width) == (4, 6)
    assert purged == [6]


def _records(data):
    """The records of a TFRecord file: length, its checksum, content, its checksum."""
    while data:
        length = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + length]
        data = data[16 + length :]
