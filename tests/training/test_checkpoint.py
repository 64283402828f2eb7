"""Checkpoints of states of the real structure: kept, found again, not believed when damaged."""

import gc
import shutil
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.training.checkpoint import Checkpoints, CheckpointWarning, read_checkpoint
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.state import create_state

# Reading a damaged checkpoint, Orbax leaves failed tasks behind, for the garbage collector to find.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NOTES = {"seed": 3, "sums": {"loss": 0.1 + 0.2}, "feed": {"next": [1, 2]}}


@pytest.fixture(autouse=True)
def collected():
    """They are found here and not in the next test."""
    yield
    time.sleep(0.02)
    gc.collect()


def _state(width=40):
    kernel = jax.random.normal(jax.random.key(1), (width, 30))
    variables = {"params": {"encoder": {"kernel": kernel}}, "batch_stats": {"mean": jnp.ones(3)}}
    optimiser = Optimiser(rates={"encoder": 1e-3}).build(lambda path: "encoder", steps=10)
    return create_state(variables, optimiser, ema=True)


def _after(state, step):
    return state._replace(
        params=jax.tree.map(lambda p: p + step, state.params), step=jnp.int32(step)
    )


def _assert_equal(found, expected):
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(expected))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def _restored(checkpoints, like):
    found = checkpoints.restore(like)
    assert found is not None
    return found


def _write(folder, steps, scores=None):
    state = _state()
    with Checkpoints(folder) as checkpoints:
        for step in steps:
            score = (scores or {}).get(step)
            checkpoints.save(step, _after(state, step), NOTES, score=score)
    return state


def test_a_state_and_its_notes_come_back(tmp_path):
    state = _write(tmp_path / "new" / "run", [7])
    with Checkpoints(tmp_path / "new" / "run") as checkpoints:
        found = _restored(checkpoints, jax.eval_shape(lambda: state))
    assert found.step == 7 and found.notes == NOTES
    _assert_equal(found.state, _after(state, 7))


def test_an_empty_folder_has_none(tmp_path):
    with Checkpoints(tmp_path / "nothing") as checkpoints:
        assert checkpoints.restore(_state()) is None
        assert checkpoints.best() is None


def test_the_best_and_the_last_three_are_kept_over_restarts(tmp_path):
    _write(tmp_path, [1, 2, 3, 4, 5], {2: 0.7, 4: 0.5})
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2, 3, 4, 5] and checkpoints.best() == 2
    _write(tmp_path, [6, 7], {6: 0.6})
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2, 5, 6, 7] and checkpoints.best() == 2
    _write(tmp_path, [8], {8: 0.9})
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [6, 7, 8] and checkpoints.best() == 8


def test_a_step_that_is_there_stays_as_it_is(tmp_path):
    state = _write(tmp_path, [4])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, _after(state, 9), NOTES)
    with Checkpoints(tmp_path) as checkpoints:
        _assert_equal(_restored(checkpoints, state).state, _after(state, 4))


def test_what_happens_to_the_state_after_save_does_not_reach_the_disk(tmp_path):
    state = {"w": np.ones((300, 300), np.float32)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, NOTES)
        state["w"][:] = 5  # as a donated buffer on CPU
    with Checkpoints(tmp_path) as checkpoints:
        np.testing.assert_array_equal(_restored(checkpoints, state).state["w"], 1)


def _files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 64)


DAMAGE = {
    "a bit flipped": lambda b: (
        b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 16]) + b[len(b) // 2 + 1 :]
    ),
    "cut short": lambda b: b[: len(b) // 2],
    "emptied": lambda b: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, damage):
    whole, run = tmp_path / "whole", tmp_path / "run"
    state = _write(whole, [3, 5], {3: 0.2, 5: 0.9})
    fell_back = 0
    for file in _files(whole / "5"):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run)
        path = run / file.relative_to(whole)
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
        with warnings.catch_warnings(record=True) as caught, Checkpoints(run) as checkpoints:
            warnings.simplefilter("always", CheckpointWarning)
            found = _restored(checkpoints, state)
            # Orbax keeps some files twice: where it reads the other one, nothing is lost.
            assert found.step == (3 if caught else 5), path
            _assert_equal(found.state, _after(state, found.step))
            if caught:
                fell_back += 1
                assert str(run / "5") in str(caught[0].message)
                assert "5.damaged" in str(caught[0].message)
                assert (run / "5.damaged").is_dir() and checkpoints.steps() == [3]
                checkpoints.save(5, _after(state, 5), NOTES, score=0.1)
                assert checkpoints.best() == 3
    assert fell_back >= 4


def test_two_damaged_ones_of_a_step_are_both_kept(tmp_path):
    state = _write(tmp_path, [3])
    for _ in range(2):
        _write(tmp_path, [5])
        _break(tmp_path / "5")
        with Checkpoints(tmp_path) as checkpoints, pytest.warns(CheckpointWarning):
            assert _restored(checkpoints, state).step == 3
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["3", "5.damaged", "5.damaged2"]


def test_where_all_are_damaged_nothing_starts_again_unasked(tmp_path):
    state = _write(tmp_path, [3])
    _break(tmp_path / "3")
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.warns(CheckpointWarning), pytest.raises(ValueError, match="all 1 checkpoints"):
            _restored(checkpoints, state)


@pytest.mark.parametrize("content", ["", "{", '{"init_timestomp": 3}'])
def test_a_torn_older_one_does_not_stop_the_run(tmp_path, content):
    state = _write(tmp_path, [3, 4, 5], {3: 0.9})
    (tmp_path / "3" / "_CHECKPOINT_METADATA").write_text(content)
    with Checkpoints(tmp_path) as checkpoints, warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        assert _restored(checkpoints, state).step == 5
        checkpoints.save(6, state, NOTES, score=0.1)
        assert checkpoints.best() == 6
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [4, 5, 6]


def _break(folder):
    (folder / "_CHECKPOINT_METADATA").unlink()


def test_a_half_written_one_is_not_seen(tmp_path):
    state = _write(tmp_path, [3])
    shutil.copytree(tmp_path / "3", tmp_path / "4.orbax-checkpoint-tmp")  # killed while writing
    with Checkpoints(tmp_path) as checkpoints:
        assert _restored(checkpoints, state).step == 3
        checkpoints.save(4, _after(state, 4), NOTES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3", "4"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_state(41), r"/3: params\.encoder\.kernel is \(40, 30\), this run has \(41, 30\)"),
        (_state()._replace(ema=None), r"/3: ema\.encoder\.kernel does not belong"),
        (
            _state()._replace(stats={"mean": jnp.ones(3), "var": jnp.ones(3)}),
            r"stats\.var is missing",
        ),
    ],
)
def test_a_state_of_another_run_is_named_and_left_alone(tmp_path, other, message):
    _write(tmp_path, [3])
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match=message) as caught:
        checkpoints.restore(other)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["3"]


def test_reading_names_the_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"/12: checkpoint is damaged"):
        read_checkpoint(tmp_path / "12")


def test_fewer_than_two_are_refused(tmp_path):
    with pytest.raises(ValueError, match="keep: expected 2 or more"):
        Checkpoints(tmp_path, keep=1)
