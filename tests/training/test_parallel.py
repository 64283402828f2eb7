"""Training on several devices and in several processes equals training on one."""

import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from ivs_jax.training.distributed import launched, start
from ivs_jax.training.parallel import replicated_step
from ivs_jax.training.step import make_step
from tests.conftest import ROOT
from tests.tiny_task import OPTIMISER, STEPS, TASK, batches, figures, new_state, train

TIMEOUT = 400  # seconds; they take ten on a machine that is not busy


@pytest.fixture(scope="module")
def alone():
    return figures(*train(jax.devices()[:1]))


def _agree(found, expected):
    assert found["step"] == expected["step"] == STEPS
    for one, other in zip(found["metrics"], expected["metrics"], strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-5)
    np.testing.assert_allclose(found["params"], expected["params"], rtol=1e-5, atol=1e-7)


def _processes(*arguments, devices):
    """What the processes print that are started with the arguments, one each."""
    environment = dict(os.environ, JAX_PLATFORMS="cpu", PYTHONPATH=str(ROOT))
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-m", "tests.tiny_task"]
    running = [
        subprocess.Popen([*command, *map(str, a)], env=environment, cwd=ROOT, stdout=-1, stderr=-1)
        for a in arguments
    ]
    try:
        texts = [process.communicate(timeout=TIMEOUT) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    for process, (_, problem) in zip(running, texts, strict=True):
        assert process.returncode == 0, problem.decode()[-2000:]
    return [json.loads(out.splitlines()[-1]) for out, _ in texts]


def test_two_devices_give_what_one_gives(alone):
    assert len(jax.devices()) == 2
    _agree(figures(*train()), alone)


def test_two_devices_that_accumulate_give_what_one_gives(alone):
    _agree(figures(*train(accumulate=2, remat=True)), alone)


def test_four_devices_give_what_one_gives(alone):
    (found,) = _processes((), devices=4)
    assert (found["devices"], found["shard"]) == (4, [0, 1])
    _agree(found, alone)


def test_two_processes_of_two_devices_give_what_one_device_gives(alone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    first, second = _processes((coordinator, 2, 0), (coordinator, 2, 1), devices=2)
    assert (first["shard"], second["shard"]) == ([0, 2], [1, 2])
    assert first["devices"] == second["devices"] == 4
    assert first["metrics"] == second["metrics"] and first["params"] == second["params"]
    _agree(first, alone)


def test_a_state_goes_on_on_other_devices():
    def make(axis_name):
        return make_step(TASK, OPTIMISER, axis_name=axis_name)

    key, (first, second) = jax.random.key(1), batches(2)
    state, _ = replicated_step(make)(new_state(), first, key)
    copied = jax.device_get(state)
    assert {x.shape for x in jax.tree.leaves(state)} == {x.shape for x in jax.tree.leaves(copied)}
    assert str(jax.tree.structure(copied)) == str(jax.tree.structure(new_state()))
    ends = [replicated_step(make, d)(copied, second, key)[0] for d in (None, jax.devices()[:1])]
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_batch_must_be_a_multiple_of_the_devices():
    step = replicated_step(lambda axis_name: make_step(TASK, OPTIMISER, axis_name=axis_name))
    with pytest.raises(ValueError, match="batch: 7 samples of this host on its 2 devices"):
        step(new_state(), batches(1, batch=7)[0], jax.random.key(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0), "--coordinator missing: give all three or none"),
        (("host:1", None, None), "--num-processes and --process-id missing"),
        (("host", 2, 0), "--coordinator 'host': expected HOST:PORT"),
        (("host:x", 2, 0), "--coordinator 'host:x': expected HOST:PORT"),
        (("host:1", 0, 0), "--num-processes 0: expected 1 or more"),
        (("host:1", 2, 2), "--process-id 2: expected 0 to 1"),
        (("host:1", 2, -1), "--process-id -1: expected 0 to 1"),
    ],
)
def test_processes_that_cannot_meet(arguments, message):
    with pytest.raises(ValueError, match=message):
        start(*arguments)


def test_a_process_without_launcher_is_alone():
    assert start() == (0, 1)


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 1),
        ({"SLURM_NTASKS": "4"}, 1),  # a batch script itself, not started by srun
        ({"SLURM_NTASKS": "4", "SLURM_STEP_NODELIST": "n[1-4]"}, 4),
        ({"OMPI_MCA_orte_hnp_uri": "1;tcp://h:2", "OMPI_COMM_WORLD_SIZE": "2"}, 2),
        ({"TPU_WORKER_HOSTNAMES": "a,b,c"}, 3),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, 1),
    ],
)
def test_launchers_say_how_many_processes_there_are(environment, count):
    assert launched(environment) == count
