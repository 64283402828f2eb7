"""What stops a run, and the pictures and batches that it leaves."""

import os
import signal
import time

import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.data.clip_samples import ClipBatch
from ivs_jax.training.guard import Guard, write_batch
from ivs_jax.training.validation import picture
from tests.training.tiny import SIDE, TinyTask


@pytest.fixture
def interruptible():
    """SIGINT as in a terminal: a shell lets programs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_is_a_reason_and_a_second_one_acts(interruptible):
    with Guard() as guard:
        assert guard.reason(1) is None
        os.kill(os.getpid(), signal.SIGINT)
        assert guard.reason(2) == guard.reason(3) == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_time_is_a_reason_when_it_is_up():
    with Guard(0.05) as guard:
        assert guard.reason(1) is None
        time.sleep(0.06)
        assert guard.reason(2) == "time limit"


def test_a_batch_is_written_with_the_names_of_its_parts(tmp_path):
    batch = TinyTask().example(2, np.random.default_rng(0))
    write_batch(tmp_path / "new" / "batch.npz", batch, {"step": 7, "loss": float("nan")})
    with np.load(tmp_path / "new" / "batch.npz") as arrays:
        names = {"image", "truth", "clicks.xy", "clicks.label", "seed", "run.step", "run.loss"}
        assert set(arrays) == names
        np.testing.assert_array_equal(arrays["clicks.xy"], batch.clicks.xy)
        assert arrays["run.step"] == 7


def test_pictures_show_truth_beside_what_was_found():
    stills = TinyTask().example(3, np.random.default_rng(0))
    stills.clicks.label[:] = -1  # their dots are as large as these objects
    right = picture(stills, np.asarray(stills.truth, np.uint8))
    none = picture(stills, np.zeros((3, SIDE, SIDE), np.uint8))
    assert right.shape == none.shape and right.dtype == np.uint8
    half = right.shape[1] // 2
    np.testing.assert_array_equal(right[:, :half], none[:, :half])  # the truth is on the left
    assert (right[:, half:] != none[:, half:]).any()
    labels = np.stack([np.maximum(stills.truth, 0)] * 2, 1).astype(np.uint8)
    labels[:, :, 0] = 255
    clips = ClipBatch(np.stack([stills.image] * 2, 1), labels, np.ones(3), jnp.zeros(3))
    assert picture(clips, labels % 255).shape[1] > 1.9 * right.shape[1]
