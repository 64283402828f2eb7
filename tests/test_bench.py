"""Benchmarks run and compare like with like; their times decide nothing here."""

import jax
import numpy as np
import pytest

from ivs_jax.bench.conv import _forms, _plain, _plain_depthwise, run_conv
from ivs_jax.bench.memory import SIZE, write_drifting_disk
from ivs_jax.bench.models import run_models
from ivs_jax.bench.rounds import Clip, run_rounds, spread
from ivs_jax.io import open_video
from ivs_jax.ops.conv import conv2d, depthwise_conv2d
from tests.plain_engine import PlainPropagator


def test_both_sides_of_every_row_compute_the_same(key):
    x = jax.random.normal(key, (1, 8, 8, 4))
    cases = (
        (_plain, conv2d, jax.random.normal(key, (3, 3, 4, 4)) / 6),
        (_plain_depthwise, depthwise_conv2d, jax.random.normal(key, (3, 3, 4)) / 3),
    )
    for plain, ours, kernel in cases:
        for name, (reference, _) in _forms(plain).items():
            function, _ = _forms(ours)[name]
            got, want = jax.jit(function)(x, kernel), jax.jit(reference)(x, kernel)
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4, err_msg=name)


def test_rows_hold_times_and_ratios():
    rows = run_conv(side=8, channels=4)
    assert len(rows) == 12
    for row in rows:
        assert row.ratio == row.plain_ms / row.ours_ms > 0


def test_the_memory_benchmark_makes_a_video_of_the_length_asked_for(tmp_path):
    write_drifting_disk(tmp_path / "disk.mp4", 7)
    with open_video(tmp_path / "disk.mp4") as video:
        assert (len(video), video.size) == (7, SIZE)
        assert not np.array_equal(video[0], video[6])


def test_both_sides_of_the_comparison_with_pytorch_compute_the_same():
    pytest.importorskip("torch", reason="the extra `torch` is not installed")
    found = run_models((32, 48), rounds=1)
    assert found.difference < 1e-4
    assert found.ratio == found.ours / found.torch > 0


def test_the_comparison_without_pytorch_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ValueError, match=r"pip install 'ivs_jax\[torch\]'"):
        run_models((32, 48))


def test_rounds_of_the_lengths_asked_for_are_measured():
    propagator, seen = PlainPropagator(), []
    found = run_rounds(
        propagator,
        spans=(2, 5),
        size=(12, 20),
        frames=9,
        progress=lambda *at: seen.append(at),
    )
    assert [row.frames for row in found] == [2, 5] and seen == [(1, 2), (2, 2)]
    assert [row.compilations for row in found] == [0, 0]
    visited = [sorted(call[2]) for call in propagator.calls[1:]]
    assert visited == [[3], [1]] * 2 + [[4, 5, 6], [1, 2]] * 2
    each = [row.seconds / row.frames for row in found]
    assert spread(found) == max(each) / min(each)
    clip = Clip(9, (12, 20))
    assert clip.disk(0).any() and (clip[0][clip.disk(0)] == 220).all()
    assert not np.array_equal(clip[0], clip[8])
    with pytest.raises(ValueError, match=r"span must be in 1\.\.6 of 9 frames, got 7"):
        run_rounds(propagator, spans=(7,), frames=9)
