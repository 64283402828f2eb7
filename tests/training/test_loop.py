import csv
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.training import loop
from ivs_jax.training.loop import Budget, cosine, prefetched, train
from ivs_jax.training.optimiser import make_optimiser
from ivs_jax.training.state import TrainState, apply_gradients, create_state


class Clock:
    """A clock that a step moves on: the budget is spent without waiting."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def _state(width=3):
    return TrainState({"w": jnp.zeros(width)}, {}, {"m": jnp.ones(2)}, jnp.int32(0))


def _counting(clock, *, seconds=6.0, nan_at=None, seen=None):
    """A step that takes `seconds` and adds 1; its loss falls as 1 / step."""

    def step(state, rng, factor):
        clock.now += seconds
        done = int(state.step) + 1
        if seen is not None:
            seen.append((done, factor, rng.integers(1000)))
        state = state._replace(params={"w": state.params["w"] + 1}, step=jnp.int32(done))
        loss = np.nan if done == nan_at else 1 / done
        return state, {"loss": jnp.float32(loss), "iou": jnp.float32(0.5)}

    return step


def _rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_budget_stops_the_run_and_everything_is_written(tmp_path, clock):
    folder = tmp_path / "new" / "run"
    seen: list = []
    state = train(_state(), _counting(clock, seen=seen), folder=folder, budget=Budget(4), seed=0)
    assert int(state.step) == 40  # 4 minutes of 6 seconds
    rows = _rows(folder)
    assert [int(r["step"]) for r in rows] == [10, 20, 30, 40]
    assert [float(r["minutes"]) for r in rows] == [1, 2, 3, 4]
    np.testing.assert_allclose([float(r["steps_per_second"]) for r in rows], 1 / 6, atol=1e-3)
    expected = [np.mean([1 / k for k in range(n - 9, n + 1)]) for n in (10, 20, 30, 40)]
    np.testing.assert_allclose([float(r["loss"]) for r in rows], expected, atol=1e-4)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint.msgpack",
        "curve.png",
        "log.csv",
    ]
    factors = [factor for _, factor, _ in seen]
    assert factors[0] == 0 and max(factors) > 0.99 and factors[-1] < 0.01


def test_a_second_call_continues_where_the_first_stopped(tmp_path, clock):
    train(_state(), _counting(clock), folder=tmp_path, budget=Budget(1.5), seed=0)
    clock.now += 1000  # the pause does not count
    seen: list = []
    state = train(_state(), _counting(clock, seen=seen), folder=tmp_path, budget=Budget(3), seed=0)
    assert [done for done, _, _ in seen] == list(range(16, 31))
    assert int(state.step) == 30
    np.testing.assert_array_equal(state.params["w"], 30)
    assert seen[0][1] == pytest.approx(cosine(0.5, 0.01))
    rows = _rows(tmp_path)
    assert [int(r["step"]) for r in rows] == [10, 20, 30]
    # The line of step 20 is the mean of the five steps since the restart.
    assert float(rows[1]["loss"]) == pytest.approx(
        np.mean([1 / k for k in range(16, 21)]), abs=1e-4
    )
    assert float(rows[1]["steps_per_second"]) == pytest.approx(1 / 6, abs=1e-3)


def test_a_real_optimiser_state_comes_back(tmp_path, clock):
    params = {"encoder": {"stem": {"kernel": jnp.ones(3)}, "stem_norm": {"scale": jnp.ones(2)}}}
    optimiser = make_optimiser(1e-3, 1e-2)
    fresh = create_state({"params": params, "batch_stats": {}}, optimiser)

    def step(state, rng, factor):
        clock.now += 6
        state = apply_gradients(state, params, optimiser, jnp.float32(factor))
        return state, {"loss": jnp.float32(1)}

    first = train(fresh, step, folder=tmp_path, budget=Budget(1), seed=0)
    again = train(fresh, step, folder=tmp_path, budget=Budget(1), seed=0)
    for a, b in zip(*map(jax.tree.leaves, (first, again)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(jax.tree.leaves(again)) > 5 and int(again.step) == 10


def test_a_continued_run_draws_other_random_numbers(tmp_path, clock):
    first: list = []
    second: list = []
    for seen, minutes in ((first, 1), (second, 2)):
        step = _counting(clock, seen=seen)
        train(_state(), step, folder=tmp_path, budget=Budget(minutes), seed=5)
    assert [n for _, _, n in first] != [n for _, _, n in second]


def test_a_spent_budget_returns_the_checkpoint(tmp_path, clock):
    train(_state(), _counting(clock), folder=tmp_path, budget=Budget(1), seed=0)
    seen: list = []
    state = train(_state(), _counting(clock, seen=seen), folder=tmp_path, budget=Budget(1), seed=0)
    assert not seen and int(state.step) == 10


def test_a_run_too_short_for_a_line_is_saved_all_the_same(tmp_path, clock):
    train(_state(), _counting(clock), folder=tmp_path, budget=Budget(0.5), seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.msgpack"]


def test_a_loss_that_is_not_finite_raises_and_keeps_the_checkpoint(tmp_path, clock):
    budget = Budget(10, every=55.0)
    with pytest.raises(ValueError, match="loss is nan at step 25"):
        train(_state(), _counting(clock, nan_at=25), folder=tmp_path, budget=budget, seed=0)
    seen: list = []
    train(_state(), _counting(clock, seen=seen), folder=tmp_path, budget=budget, seed=0)
    assert seen[0][0] == 21  # saved after 10 and after 20 steps


@pytest.mark.parametrize("content", ["", "short", "long", "noise"])
def test_a_damaged_checkpoint_is_named(tmp_path, clock, content):
    train(_state(), _counting(clock), folder=tmp_path, budget=Budget(1), seed=0)
    path = tmp_path / "checkpoint.msgpack"
    whole = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    path.write_bytes({"": b"", "short": whole[:-9], "long": whole + b"x", "noise": noise}[content])
    with pytest.raises(ValueError, match=r"checkpoint\.msgpack: no complete checkpoint") as caught:
        train(_state(), _counting(clock), folder=tmp_path, budget=Budget(1), seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["names", "shape"])
def test_a_checkpoint_of_another_network_is_refused(tmp_path, clock, other):
    train(_state(), _counting(clock), folder=tmp_path, budget=Budget(1), seed=0)
    state = _state(4) if other == "shape" else _state()._replace(params={"v": jnp.zeros(3)})
    message = r"\.params\['w'\] is \(3,\), this network has \(4,\)"
    if other == "names":
        message = "no complete checkpoint of this network"
    with pytest.raises(ValueError, match=rf"checkpoint\.msgpack: .*{message}") as caught:
        train(state, _counting(clock), folder=tmp_path, budget=Budget(1), seed=0)
    assert "\n" not in str(caught.value)


def test_cosine_rises_then_falls_to_zero():
    assert cosine(0.0, 0.1) == 0 and cosine(0.05, 0.1) == 0.5
    assert cosine(0.5, 0.1) == pytest.approx(0.5)
    assert cosine(1.0, 0.1) == cosine(1.5, 0.1) == pytest.approx(0)
    assert cosine(0.0, 0.0) == 1


def test_batches_come_in_order_and_few_are_made_ahead():
    made: list[int] = []

    def make(rng):
        made.append(len(made))
        return made[-1], int(rng.integers(10**6))

    following = prefetched(make, np.random.default_rng(3))
    found = [following() for _ in range(4)]
    expected = np.random.default_rng(3)
    assert found == [(i, int(expected.integers(10**6))) for i in range(4)]
    time.sleep(0.05)
    assert len(made) <= 4 + 3  # two wait, one may be under way


def test_an_error_in_the_thread_is_raised_by_the_next_calls():
    def make(rng, left=[1]):  # noqa: B006
        if not left:
            raise OSError("disk gone")
        return left.pop()

    following = prefetched(make, np.random.default_rng(0))
    assert following() == 1
    for _ in range(3):
        with pytest.raises(OSError, match="disk gone"):
            following()
