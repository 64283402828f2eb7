"""`ivs train` in processes of their own: killed at any point, ended politely, several at once."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ivs_jax.cli import main
from ivs_jax.training.log import read_table

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Path(__file__).with_name("tiny.py")
PATIENCE = 300  # seconds, on a machine that does much else
STEPS = 20
LONG = ("--steps", str(STEPS), "--save-every", "1", "--log-every", "1", "--validate-every", "99")


def _environment(devices=1):
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    paths = {"PYTHONPATH": str(ROOT), "IVS_CACHE": str(ROOT / ".cache"), "JAX_PLATFORMS": "cpu"}
    return os.environ | flags | paths


@pytest.fixture(scope="module")
def start():
    """Starts `ivs train` on the tiny recipe; what still runs when the tests end is killed."""
    processes = []

    def begin(out, *flags):
        call = "import sys; from ivs_jax.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", call, "train", str(RECIPE), "--data", "."]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*command, "--out", str(out), *flags],
            env=_environment(),
            cwd=ROOT,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _losses(out):
    return [row["loss"] for row in read_table(out / "training.csv")]


def _wait_for(out, step, process):
    """Returns when the checkpoint of `step`, or a later one, is there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        names = [p.name for p in (out / "checkpoints").glob("*") if p.name.isdecimal()]
        if any(int(name) >= step for name in names):
            return
        time.sleep(0.01)
    pytest.fail(f"no checkpoint of step {step}: {process.communicate()}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start):
    """The losses of a run that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole")
    process = start(out, *LONG)
    output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    losses = _losses(out)
    assert len(losses) == STEPS
    return losses


@pytest.mark.slow
def test_killed_and_ended_once_each_a_run_has_the_same_losses(tmp_path, whole, start):
    # It saves in every step, so that a kill mostly meets a checkpoint that is being written.
    process = start(tmp_path, *LONG)
    _wait_for(tmp_path, 3, process)
    time.sleep(0.013)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    process = start(tmp_path, *LONG)
    _wait_for(tmp_path, 10, process)
    process.terminate()
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    last = int(out.rsplit("SIGTERM after step ", 1)[1].split()[0])
    assert 10 <= last < STEPS and (tmp_path / "checkpoints" / str(last)).is_dir()
    assert _losses(tmp_path) == whole[:last]
    process = start(tmp_path, *LONG)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and f"continues after step {last}" in out
    assert _losses(tmp_path) == whole


@pytest.mark.slow
def test_two_processes_write_one_run_with_the_losses_of_one(tmp_path, whole, start):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ("--coordinator", address, "--num-processes", "2", "--process-id")
    processes = [start(tmp_path, *LONG, *flags, str(i)) for i in range(2)]
    outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "step 1  " in outputs[0][0] and "step 1  " not in outputs[1][0]  # one of them speaks
    found, expected = np.array(_losses(tmp_path), float), np.array(whole, float)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["18", "19", "20"]


def test_a_dry_run_needs_no_data_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(RECIPE), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "step 1" in out and "step 2" in out and "loss 0." in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--data: the folder of the data sets is missing"),
        (("--data", ".", "--time-limit", "soon"), "--time-limit 'soon': expected a time such as"),
        (("--data", ".", "--from-released", "--start", "x"), "--from-released and --start"),
        (("--dry-run", "--batch", "0"), "recipe tiny: batch is 0, expected 1 or more"),
        (("--dry-run", "--coordinator", "x:1"), "--num-processes and --process-id missing"),
        (("--data", ".", "--start", "missing.safetensors"), "missing.safetensors: no weights"),
    ],
)
def test_what_is_wrong_is_one_line(capsys, flags, message):
    assert main(["train", str(RECIPE), *flags]) == 2
    found = capsys.readouterr().err.strip().splitlines()
    assert len(found) == 1 and message in found[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such recipe"), ("x = 1", "expected RECIPE = Recipe"), ("1 / 0", "cannot be run")],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, capsys, content, message):
    file = tmp_path / "recipe.py"
    if content is not None:
        file.write_text(content)
    assert main(["train", str(file), "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert f"{file}: {message}" in error


def test_help_lists_the_settings_of_the_recipe(capsys):
    with pytest.raises(SystemExit):
        main(["train", str(RECIPE), "--help"])
    out = capsys.readouterr().out
    for flag in ("--data", "--time-limit", "--steps", "--task.noise", "--optimiser.rates.decoder"):
        assert flag in out
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "--from-released" in capsys.readouterr().out
