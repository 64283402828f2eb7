"""Releases of JAX that are wrong: the known ones are named, the next one fails a computation."""

import importlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ivs_jax
from ivs_jax import known_faults
from ivs_jax.cli import main


@pytest.fixture
def wrong_release(monkeypatch):
    """Lets it look as if jaxlib 0.10.2 were installed."""
    monkeypatch.setattr(known_faults, "version", lambda package: "0.10.2")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [False, True])
def test_products_under_vmap_that_a_sum_follows_are_right(dtype, compiled):
    """jaxlib 0.10.2 was not, from 32,769 rows on (half as many in float64)."""
    with jax.enable_x64(dtype == "float64"):
        numbers = np.arange(32_769, dtype=dtype)
        rows = np.stack([numbers, 0 * numbers, 0 * numbers], 1)
        matrix = jnp.eye(3, dtype=dtype)
        squares = jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))
        found = (jax.jit(squares) if compiled else squares)(rows)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, numbers**2)


def test_what_is_installed_has_no_known_fault():
    assert known_faults.installed_faults() == []


def test_the_import_of_the_package_warns_of_a_wrong_release(wrong_release):
    with pytest.warns(UserWarning, match=r"jaxlib 0\.10\.2 computes wrong.*vmap.*jax==0\.10\.1"):
        importlib.reload(ivs_jax)


def test_a_package_that_is_not_installed_has_no_fault(monkeypatch):
    missing = known_faults.Fault("no-such-package", "1", "all", "another")
    monkeypatch.setattr(known_faults, "KNOWN", (missing,))
    assert known_faults.installed_faults() == []


def test_info_names_a_wrong_release(wrong_release, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["info"]) == 0
    assert "jaxlib 0.10.2 computes wrong results" in capsys.readouterr().out


def test_looking_for_faults_does_not_import_jax():
    program = (
        "import runpy, sys\n"
        "found = runpy.run_path(sys.argv[1])['installed_faults']()\n"
        "assert not found and 'jax' not in sys.modules and 'jaxlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, known_faults.__file__], check=True)
