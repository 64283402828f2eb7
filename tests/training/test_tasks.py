"""What holds for every task: a step end to end, the contract with the trainer, bad settings."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax.extend.core import ClosedJaxpr, Jaxpr

from ivs_jax.training.click import ClickTask
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.optimiser import FROZEN, Optimiser
from ivs_jax.training.state import create_state
from ivs_jax.training.step import make_step
from ivs_jax.training.stm import STMTask
from tests.training.tasks import TASKS, make_tiny, registered  # noqa: F401

STEPS = 8
# Slopes that meet no negative value, and OCR's attention over a single region, have no gradient.
STILL = ("slope", "pixel", "region")


@pytest.fixture(scope="module", params=TASKS)
def tiny(request, registered):  # noqa: F811
    return make_tiny(request.param)


@pytest.fixture(scope="module", params=["click", "brs", "stm", "ipn"])
def trained(request, registered):  # noqa: F811
    """The task, its variables before and its state after some steps on one batch, the metrics."""
    tiny = make_tiny(request.param)
    task = tiny.task
    rates = {name: 3e-3 for name in task.groups}
    optimiser = Optimiser(rates=rates).build(task.group, steps=STEPS)
    step = jax.jit(make_step(task, optimiser))
    state, metrics = create_state(tiny.variables, optimiser), []
    for _ in range(STEPS):
        state, found = step(state, tiny.batch(), jax.random.key(3))
        metrics.append({name: float(value) for name, value in found.items()})
    return tiny, state, metrics


@pytest.mark.slow
def test_the_loss_falls_on_a_repeated_batch(trained):
    _, state, metrics = trained
    losses = [m["loss"] for m in metrics]
    assert int(state.step) == STEPS and np.isfinite(losses).all()
    assert losses[-1] < 0.95 * losses[0]
    assert all(0 <= m["iou"] <= 1 for m in metrics)


@pytest.mark.slow
def test_frozen_parameters_and_statistics_stay_and_all_others_move(trained):
    tiny, state, _ = trained
    jax.tree.map(np.testing.assert_array_equal, state.stats, tiny.variables["batch_stats"])
    old, new = (traverse_util.flatten_dict(p) for p in (tiny.variables["params"], state.params))
    groups = {tiny.task.group(path) for path in old}
    assert groups - {FROZEN} == set(tiny.task.groups)
    for path in old:
        moved = np.abs(np.asarray(new[path]) - old[path]).max()
        if tiny.task.group(path) == FROZEN:
            assert moved == 0, path
        elif not any(name in part for part in path for name in STILL):
            assert moved > 0, path


@pytest.mark.slow
def test_the_loss_of_a_batch_is_the_mean_over_its_samples(trained):
    tiny, _, metrics = trained
    params, batch = tiny.variables["params"], tiny.batch()
    parts = [jax.tree.map(lambda x, n=n: x[n : n + 1], batch) for n in (0, 1)]
    found = [tiny.loss(params, part, jax.random.key(3)) for part in parts]
    assert abs(float(found[0][0]) - float(found[1][0])) > 1e-4  # or it would say nothing
    np.testing.assert_allclose(metrics[0]["loss"], np.mean([f[0] for f in found]), rtol=1e-4)
    for name in found[0][1]:
        expected = np.mean([f[1][name] for f in found])
        np.testing.assert_allclose(metrics[0][name], expected, atol=1e-4)


def _convolutions(jaxpr: Jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: isinstance(v, ClosedJaxpr | Jaxpr)
        ):
            if isinstance(inner, ClosedJaxpr | Jaxpr):
                yield from _convolutions(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)


def test_all_convolutions_compute_in_the_dtype_asked_for(tiny):
    def loss(params, stats, batch):
        cast = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
        return tiny.task.loss(cast, stats, batch, key=jax.random.key(0), dtype=jnp.bfloat16)

    variables = tiny.variables["params"], tiny.variables["batch_stats"]
    made = jax.make_jaxpr(loss)(*variables, tiny.batch())
    found = list(_convolutions(made.jaxpr))
    assert len(found) > 5
    assert {v.aval.dtype.name for e in found for v in e.invars} == {"bfloat16"}
    assert made.out_avals[0].dtype == jnp.float32 and made.out_avals[0].shape == ()


def test_answers_are_object_ids_in_the_shape_of_the_batch(tiny):
    batch = tiny.batch()
    variables = tiny.variables["params"], tiny.variables["batch_stats"]

    def answer(*arguments):
        return tiny.task.answer(*arguments, key=jax.random.key(0))

    found = jax.eval_shape(answer, *variables, batch)
    expected = batch.labels if hasattr(batch, "labels") else batch.truth
    assert found.shape == expected.shape and found.dtype == np.uint8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClickTask("stm-small"), "unknown click model 'stm-small'"),
        (lambda: ClickTask("ipn-small"), "ipn-small is trained by another task"),
        (lambda: ClickTask(side=100), "side: expected a multiple of 32, found 100"),
        (lambda: ClickTask(corrections=()), "corrections: expected counts"),
        (lambda: STMTask("ipn"), "ipn is trained by another task"),
        (lambda: STMTask(side=40), "side: expected a multiple of 16, found 40"),
        (lambda: STMTask(length=1), "clips of 2 frames or more, found 1"),
        (lambda: STMTask(hardest=0), r"hardest: expected a share in \(0, 1\], found 0"),
        (lambda: IPNTask("stm-small"), "stm-small is trained by another task"),
        (lambda: IPNTask(length=1), "clips of 2 frames or more, found 1"),
        (lambda: IPNTask(rounds=0), "rounds: expected 1 or more, found 0"),
        (lambda: IPNTask(clicks=1.5), r"clicks: expected a share in \[0, 1\], found 1.5"),
        (
            lambda: IPNTask(reference=cast(Any, "mean")),
            "reference 'mean': expected scribbles or mask",
        ),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
