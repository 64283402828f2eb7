"""Both kinds of refinement on tiny networks, with the published settings of every mode."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.refine import (
    MODES,
    config_for,
    energy,
    interactive_settings,
    lbfgs,
    refine_features,
    refine_input,
    rescale,
)
from ivs_jax.types import make_clicks

SIZE = 16
CLICKS = make_clicks([(4, 4), (11, 5), (4, 12)], [1, 0, 1])
INPUT_MODES = [mode for mode, config in MODES.items() if config.variable != "features"]
FEATURE_MODES = [mode for mode, config in MODES.items() if config.variable == "features"]


def _network(seed=0, channels=8, bias=-1.0):
    """Returns `features(maps)` and `head(features)`; the start misses the positive clicks."""
    rng = np.random.default_rng(seed)
    first = (rng.normal(size=(3, 3, 2, channels)) / 3).astype(np.float32)
    last = (rng.normal(size=(3, 3, channels, 1)) / 6).astype(np.float32)

    def convolve(x, kernel):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x[None], kernel, (1, 1), "SAME", dimension_numbers=dimensions
        )[0]

    return (
        lambda maps: jax.nn.softplus(convolve(maps, first)),
        lambda features: convolve(features, last)[..., 0] + bias,
    )


def _maps(seed=0):
    return np.random.default_rng(seed).random((SIZE, SIZE, 2)).astype(np.float32)


def _checks(logits, config):
    return energy.satisfied(logits, CLICKS, threshold=config.threshold, radius=config.radius)


def test_names_and_published_settings():
    assert list(MODES) == ["BRS", "RGB-BRS", "DistMap-BRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"]
    assert all(config.mode == name for name, config in MODES.items())
    brs, fbrs = MODES["BRS"], MODES["f-BRS-B"]
    assert (brs.max_iterations, brs.memory_size, brs.weight, brs.threshold) == (100, 20, 1e-3, 0.5)
    assert not brs.stop_unchanged and brs.radius == 0 and not brs.mean
    assert (fbrs.max_evaluations, fbrs.threshold, fbrs.radius) == (20, 0.49, 1)
    assert [MODES[m].network_clicks for m in MODES] == [None, 5, 5, 8, 8, 8]
    assert [MODES[m].min_clicks for m in MODES] == [1, 2, 2, 2, 2, 2]
    assert [MODES[m].keep for m in MODES] == ["last", *["lowest"] * 5]
    assert {config.trials for config in MODES.values()} == {1}


def test_interactive_settings_differ_from_the_published_in_two_settings():
    config = interactive_settings(MODES["f-BRS-B"])
    assert (config.min_clicks, config.keep) == (1, "satisfied")
    assert dataclasses.replace(config, min_clicks=2, keep="lowest") == MODES["f-BRS-B"]


def test_mode_names_are_checked():
    assert config_for("NoBRS") is None
    assert config_for("f-BRS-B") is MODES["f-BRS-B"]
    with pytest.raises(ValueError, match="'fbrs', expected one of NoBRS, BRS, RGB-BRS.*f-BRS-C"):
        config_for("fbrs")


@pytest.mark.parametrize("mode", INPUT_MODES)
def test_input_refinement_makes_every_click_right(mode):
    features, head = _network()
    maps, config = _maps(), dataclasses.replace(MODES[mode], stop_unchanged=False)
    predict = lambda delta: head(features(maps + delta))  # noqa: E731
    assert not _checks(predict(0.0), config).all()
    solution = refine_input(predict, maps, CLICKS, config=config)
    assert solution.satisfied and _checks(solution.aux, config).all()
    assert solution.x.shape == maps.shape
    assert 1 < solution.evaluations <= config.max_evaluations
    np.testing.assert_allclose(solution.aux, predict(solution.x), atol=1e-4)


def test_energy_of_brs_is_that_of_its_spec():
    features, head = _network()
    maps = _maps()
    config = dataclasses.replace(MODES["BRS"], max_evaluations=2)
    predict = lambda delta: head(features(maps + delta))  # noqa: E731
    solution = refine_input(predict, maps, CLICKS, config=config)
    expected = energy.brs_energy(solution.aux, CLICKS, solution.x, weight=1e-3)
    np.testing.assert_allclose(solution.energy, expected, rtol=1e-5)
    mean = dataclasses.replace(MODES["DistMap-BRS"], max_evaluations=2)
    solution = refine_input(predict, maps, CLICKS, config=mean)
    expected = energy.fbrs_energy(solution.aux, CLICKS, 1e-3 * jnp.sum(solution.x**2))
    np.testing.assert_allclose(solution.energy, expected, rtol=1e-5)


def test_every_copy_pays_for_its_change_of_the_input():
    """Two equal copies: twice the penalty, and otherwise the same mean errors."""
    features, head = _network()
    maps, config = _maps(), dataclasses.replace(MODES["DistMap-BRS"], max_evaluations=2)
    clicks = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), CLICKS)
    predict = lambda delta: jnp.stack([head(features(maps + delta))] * 2)  # noqa: E731
    solution = refine_input(predict, maps, clicks, config=config)
    assert solution.aux.shape == (2, SIZE, SIZE) and solution.x.shape == maps.shape
    penalty = 2e-3 * jnp.sum(solution.x**2)
    expected = energy.fbrs_energy(solution.aux[0], CLICKS, penalty)
    np.testing.assert_allclose(solution.energy, expected, rtol=1e-5)
    assert penalty > 1e-3 * expected


@pytest.mark.parametrize("mode", FEATURE_MODES)
def test_feature_refinement_makes_every_click_right(mode):
    encode, head = _network()
    features, config = encode(_maps()), dataclasses.replace(MODES[mode], stop_unchanged=False)
    solution = refine_features(head, features, CLICKS, config=config)
    start = energy.fbrs_energy(head(features), CLICKS)
    assert solution.energy < start and solution.evaluations <= 20
    assert {k: v.shape for k, v in solution.x.items()} == {"scale": (8,), "bias": (8,)}
    np.testing.assert_allclose(solution.aux, head(rescale(features, solution.x)), atol=1e-4)
    assert solution.satisfied == _checks(solution.aux, config).all()


def test_warm_start_from_a_satisfied_solution_costs_one_evaluation():
    encode, head = _network(bias=-0.3)
    clicks = make_clicks([(4, 4)], [1])
    features, config = encode(_maps()), MODES["f-BRS-B"]
    first = refine_features(head, features, clicks, config=config)
    assert first.satisfied and first.evaluations > 1
    again = refine_features(head, features, clicks, config=config, start=first.x)
    assert again.satisfied and again.evaluations == 1
    np.testing.assert_array_equal(again.x["scale"], first.x["scale"])


def test_an_input_mode_starts_where_it_is_told():
    features, head = _network()
    maps, config = _maps(), dataclasses.replace(MODES["DistMap-BRS"], stop_unchanged=False)
    predict = lambda delta: head(features(maps + delta))  # noqa: E731
    first = refine_input(predict, maps, CLICKS, config=config)
    again = refine_input(predict, maps, CLICKS, config=config, start=first.x)
    assert first.satisfied and again.satisfied and again.evaluations == 1
    np.testing.assert_array_equal(again.x, first.x)
    with pytest.raises(ValueError, match=r"start must be of shape \(16, 16, 2\), found \(3,\)"):
        refine_input(predict, maps, CLICKS, config=config, start=jnp.zeros(3))


def test_idle_refinement_evaluates_the_start_alone():
    encode, head = _network()
    features, config = encode(_maps()), MODES["f-BRS-B"]
    found = refine_features(head, features, CLICKS, config=config, idle=jnp.bool_(True))
    assert found.evaluations == 1 and not found.satisfied
    assert not any(leaf.any() for leaf in found.x.values())
    np.testing.assert_allclose(found.aux, head(features), rtol=1e-5, atol=1e-5)
    busy = refine_features(head, features, CLICKS, config=config, idle=jnp.bool_(False))
    assert busy.evaluations > 1


def test_a_start_that_is_not_a_number_is_reported():
    encode, head = _network()
    found = refine_features(head, encode(_maps() * jnp.nan), CLICKS, config=MODES["f-BRS-B"])
    assert found.status == lbfgs.FAILED and found.evaluations == 1 and np.isnan(found.energy)


def test_stops_when_the_mask_no_longer_changes():
    """Clicks of both polarities on one pixel cannot all be right."""
    encode, head = _network(bias=0.0)
    clicks = make_clicks([(4, 4), (4, 4)], [1, 0])
    solution = refine_features(head, encode(_maps()), clicks, config=MODES["f-BRS-B"])
    assert solution.status == lbfgs.UNCHANGED
    assert solution.evaluations < 20 and not solution.satisfied


def test_features_keep_their_dtype():
    x = {"scale": jnp.ones(3), "bias": jnp.ones(3)}
    scaled = rescale(jnp.ones((2, 2, 3), jnp.bfloat16), x)
    assert scaled.dtype == jnp.bfloat16 and scaled[0, 0, 0] == 3


def test_wrong_uses_are_named():
    maps = _maps()
    with pytest.raises(ValueError, match="needs an input mode, found 'f-BRS-A'"):
        refine_input(lambda d: d[..., 0], maps, CLICKS, config=MODES["f-BRS-A"])
    with pytest.raises(ValueError, match="needs an f-BRS mode, found 'BRS'"):
        refine_features(lambda f: f[..., 0], maps, CLICKS, config=MODES["BRS"])
    with pytest.raises(ValueError, match=r"shape \(2,\), found"):
        wrong = {"scale": jnp.zeros(3), "bias": jnp.zeros(2)}
        refine_features(lambda f: f[..., 0], maps, CLICKS, config=MODES["f-BRS-A"], start=wrong)


def test_vmap_over_objects_equals_single_solves():
    encode, head = _network()
    config = MODES["f-BRS-B"]
    features = jnp.stack([encode(_maps(seed)) for seed in range(4)])
    points = [[(4, 4)], [(2, 12), (9, 9)], [(12, 3), (3, 3), (7, 8)], [(6, 6)]]
    clicks = [make_clicks(p, [1, 0, 1][: len(p)]) for p in points]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *clicks)
    solve = lambda f, c: refine_features(head, f, c, config=config)  # noqa: E731
    together = jax.jit(jax.vmap(solve))(features, batch)
    alone = [jax.jit(solve)(*item) for item in zip(features, clicks, strict=True)]
    apart = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    np.testing.assert_array_equal(together.evaluations, apart.evaluations)
    np.testing.assert_array_equal(together.satisfied, apart.satisfied)
    np.testing.assert_allclose(together.aux, apart.aux, atol=1e-3)
