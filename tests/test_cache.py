"""Where compilations are kept, and the clock that measures them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from ivs_jax.cache import CompileClock, cache_folder, enable_compilation_cache


@pytest.fixture
def unset():
    """JAX without a cache folder; the suite's own is put back."""
    given = jax.config.values["jax_compilation_cache_dir"]
    seconds = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", given)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


def test_the_user_names_the_folder(unset, monkeypatch, tmp_path):
    monkeypatch.setenv("IVS_CACHE", str(tmp_path / "deep"))
    assert enable_compilation_cache() == tmp_path / "deep" / "jax"
    assert (tmp_path / "deep" / "jax").is_dir()
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "deep" / "jax")
    monkeypatch.setenv("IVS_CACHE", "elsewhere")
    assert enable_compilation_cache() == tmp_path / "deep" / "jax"  # one that is set is kept


def test_the_default_is_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("IVS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / "ivs_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "ivs_jax"


def test_a_folder_that_cannot_be_made_switches_the_cache_off(unset, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IVS_CACHE", str(tmp_path / "file"))
    assert enable_compilation_cache() is None
    assert jax.config.values["jax_compilation_cache_dir"] is None


def test_the_clock_counts_compilation_and_nothing_else():
    double = jax.jit(lambda x: 2 * x + 3)
    with CompileClock() as clock:
        double(jnp.ones(7)).block_until_ready()
    first = clock.seconds
    assert first > 0
    jax.jit(lambda x: x - 5)(jnp.ones(7))
    assert clock.seconds == first  # outside the block
    with clock:
        double(jnp.ones(7)).block_until_ready()
    assert clock.seconds - first < first / 10
