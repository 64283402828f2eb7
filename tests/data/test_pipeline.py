"""The feed: the same samples whatever the hosts, threads, processes and restarts are."""

import json
import threading
from typing import NamedTuple

import jax
import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.pipeline import feed
from ivs_jax.data.sets import Stills
from ivs_jax.types import Clicks
from tests.data.scenes import two_disks

pytest.importorskip("grain", reason="the extra `data` is not installed")


class Sample(NamedTuple):
    value: np.ndarray
    clicks: Clicks
    number: np.ndarray


def sampler(rng, *, index=0):
    clicks = Clicks(rng.random((2, 2)), rng.integers(0, 2, 2))
    return Sample(rng.random(3), clicks, np.array(index))


def _steps(count, sampler=sampler, **options):
    batches = feed(sampler, **({"seed": 7, "batch": 4} | options))
    try:
        return [next(batches) for _ in range(count)]
    finally:
        batches.close()


def _equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_batches_stack_samples_in_order_each_from_seed_and_number():
    for step, batch in enumerate(_steps(3)):
        assert type(batch) is Sample and type(batch.clicks) is Clicks
        assert batch.value.shape == (4, 3) and batch.clicks.xy.shape == (4, 2, 2)
        for slot, index in enumerate(range(4 * step, 4 * step + 4)):
            alone = sampler(np.random.default_rng((7, index)), index=index)
            assert _equal(jax.tree.map(lambda x, slot=slot: x[slot], batch), alone)


def test_samplers_need_not_know_their_number():
    def plain(rng):
        return sampler(rng)

    first, second = _steps(1, plain)[0], _steps(1)[0]
    assert (first.value == second.value).all() and (first.number == 0).all()


@pytest.mark.parametrize("hosts", [2, 4])
def test_the_shares_of_all_hosts_are_the_batch_of_one(hosts):
    parts = [_steps(3, shard=(host, hosts)) for host in range(hosts)]
    for whole, *shares in zip(_steps(3), *parts, strict=True):
        assert _equal(jax.tree.map(lambda *x: np.concatenate(x), *shares), whole)


def test_a_feed_starts_at_any_step():
    assert _equal(_steps(1, start=1000)[0].number, np.arange(4000, 4004))


def test_a_state_restores_the_position_also_on_other_hosts():
    batches = feed(sampler, seed=7, batch=4)
    _ = [next(batches) for _ in range(3)]
    state = json.loads(json.dumps(batches.get_state()))
    expected = [next(batches) for _ in range(2)]
    batches.set_state(state)
    assert batches.get_state() == state and _equal(next(batches), expected[0])
    batches.close()
    assert _equal(next(batches), expected[1])  # goes on after a pause
    batches.close()
    other = feed(sampler, seed=7, batch=4, shard=(1, 2))
    other.set_state(state)
    assert _equal(next(other), jax.tree.map(lambda x: x[2:], expected[0]))
    other.close()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"seed": 8, "batch": 4, "step": 1}, "feed state has seed 8, this feed 7"),
        ({"seed": 7, "batch": 8, "step": 1}, "feed state has batch 8, this feed 4"),
        (
            {"next_index": 1},
            r"feed state has \['next_index'\], expected \['batch', 'seed', 'step'\]",
        ),
    ],
)
def test_a_state_of_other_samples_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        feed(sampler, seed=7, batch=4).set_state(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"shard": (0, 3)}, "batch is 4, expected a positive multiple of 3 hosts"),
        ({"shard": (2, 2)}, r"shard is \(2, 2\)"),
        ({"workers": -1}, "workers -1, start 0: expected none below 0"),
    ],
)
def test_feeds_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        _steps(1, **options)


def test_an_error_of_the_sampler_arrives_with_its_words():
    def failing(rng, *, index):
        if index == 5:
            raise ValueError("voc/images/7.jpg: cannot be read")
        return sampler(rng, index=index)

    batches = feed(failing, seed=7, batch=4)
    assert next(batches).number[0] == 0
    with pytest.raises(ValueError, match="voc/images/7.jpg: cannot be read"):
        next(batches)
    batches.close()


def test_samples_are_made_ahead_and_a_closed_feed_leaves_no_thread():
    before, made, enough = set(threading.enumerate()), [], threading.Event()

    def counting(rng, *, index):
        made.append(index)
        if len(made) >= 8:
            enough.set()
        return sampler(rng, index=index)

    batches = feed(counting, seed=7, batch=4)
    next(batches)
    assert enough.wait(10)  # more than the batch that was asked for
    batches.close()
    count = len(made)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert len(made) - count <= 4 and len(made) < 40


@pytest.mark.slow
def test_processes_give_the_samples_of_threads(tmp_path):
    """Starts a process, which imports the package anew."""
    still = two_disks()
    for folder, pixels in (("images", still.image), ("masks", still.labels)):
        (tmp_path / "s" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "s" / folder / "0.png")
    sampler = ClickSamples((Stills("s", cached=True),), size=32).open(tmp_path)
    assert _equal(_steps(2, sampler), _steps(2, sampler, workers=1))
    (tmp_path / "s" / "masks" / "0.png").write_bytes(b"torn")
    sampler = ClickSamples((Stills("s"),), size=32).open(tmp_path)
    with pytest.raises(ValueError, match=r"masks/0\.png: not a readable mask"):
        _steps(1, sampler, workers=1)
