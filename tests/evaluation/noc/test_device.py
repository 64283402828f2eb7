"""NoC runs on the device against the plain host loop over the same interactor."""

import time
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.evaluation.click_dataset import ClickSample
from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
from ivs_jax.evaluation.noc.click_loop import run_object
from ivs_jax.evaluation.noc.config import non_default_settings
from ivs_jax.evaluation.noc.device import measure_batches
from ivs_jax.evaluation.noc.program import longest_run
from ivs_jax.evaluation.noc.samples import SampleList
from ivs_jax.interaction.zoom import widened
from ivs_jax.models import brs
from ivs_jax.models.brs import ClickOutput, TapFeatures
from ivs_jax.session import click
from ivs_jax.session.click import ClickInteractor
from ivs_jax.session.protocol import PublishedProtocol
from tests.tiny import Trunk, click_network

MAX_CLICKS, TARGET, BUDGET = 6, 0.92, 6
RULE = NocRule(MAX_CLICKS, TARGET)


@dataclass(frozen=True)
class BrightConfig:
    """What `session.answer` and `session.click` ask of a network's config."""

    threshold: float = 0.49
    input_size: int = 64
    maps: str = "brs"
    radius: float = 5.0
    taps: tuple[str, ...] = ("f-BRS-B",)
    flip: bool = False


class Bright(nn.Module):
    """Answers with what is bright within some 18 pixels of an object click and far from others.

    So masks are parts of objects, windows zoom in and are widened, and clicks matter.
    """

    config: BrightConfig = BrightConfig()

    def encode(self, image):
        return image

    def features_at(self, features, maps, previous, *, tap="f-BRS-B"):
        bright = jnp.mean(features, -1, keepdims=True)
        return TapFeatures(jnp.concatenate([bright, maps, previous[..., None]], -1), features)

    def head(self, tapped, *, tap="f-BRS-B"):
        bright, own, other, previous = jnp.moveaxis(tapped.x, -1, 0)
        near = jnp.minimum(25 * (bright - 0.5), 60 * (own - 0.93))
        logits = near - 40 * nn.relu(other - 0.97) / 0.03 + previous
        return ClickOutput(logits, logits)

    def predict(self, features, maps, previous):
        return self.head(self.features_at(features, maps, previous))


@pytest.fixture(scope="module", params=["NoBRS", "f-BRS-B"])
def interactor(request):
    return ClickInteractor(Bright(), {}, refine=request.param, budget=BUDGET)


@pytest.fixture(scope="module")
def expected(interactor):
    """The results of the host loop, by name."""
    return by_name(run_object(s, interactor, RULE) for s in SAMPLES)


def by_name(results):
    return {result.name: result for result in results}


def measured(samples, interactor, rule=RULE, **options):
    """The results of the device by name; on one device unless told."""
    options = {"batch": 2, "devices": jax.devices()[:1], **options}
    samples = SampleList(samples)
    return by_name(measure_batches(samples, range(len(samples)), interactor, rule, **options))


def check(found, expected):
    assert found.keys() == expected.keys()
    for name, result in expected.items():
        assert found[name].clicks == result.clicks
        assert found[name].satisfied == result.satisfied
        assert found[name].evaluations == result.evaluations
        np.testing.assert_allclose(found[name].ious, result.ious, atol=1e-6)
        assert found[name].seconds > found[name].compile_seconds >= 0


def sample(name, size, *, long=False, alone=False, ignore=False):
    """A bright ellipse, and unless it is `alone` something bright that overlaps it."""
    (height, width), rng = size, np.random.default_rng(int(name))
    y, x = np.mgrid[:height, :width]
    reach = (0.45 if long else 0.12) * width
    mask = ((x - width * 0.45) / reach) ** 2 + ((y - height * 0.5) / 22) ** 2 < 1
    other = ((x - width * 0.5) / 20) ** 2 + ((y - height * 0.5 + 28) / 20) ** 2 < 1
    image = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
    image[mask if alone else mask | other] += 150
    return ClickSample(name, image, mask, np.abs(x - width * 0.4) < 8 if ignore else None)


SAMPLES = [
    sample("0", (150, 200), long=True),
    sample("1", (180, 130)),
    sample("2", (130, 240), long=True, ignore=True),
    sample("3", (210, 210), alone=True),
    sample("4", (129, 140)),
]


@pytest.mark.slow
def test_a_batch_gives_the_results_of_the_host_loop(interactor, expected):
    check(measured(SAMPLES, interactor, together=True), expected)


@pytest.mark.slow
def test_the_samples_need_few_and_many_clicks_and_wider_windows(interactor, expected, monkeypatch):
    with monkeypatch.context() as patch:
        spy = Mock(wraps=widened)
        patch.setattr(click, "widened", spy)
        run_object(SAMPLES[2], interactor, NocRule(2, TARGET))
    assert spy.called
    counts = [len(result.ious) for result in expected.values()]
    assert min(counts) == 1 and max(counts) == MAX_CLICKS
    assert any(label == 0 for result in expected.values() for *_, label in result.clicks)
    if interactor.refine != "NoBRS":
        assert max(max(result.evaluations) for result in expected.values()) > 2


@pytest.mark.slow
def test_other_ways_through_the_data_change_nothing():
    interactor = ClickInteractor(Bright(), {}, refine="NoBRS")
    expected = by_name(run_object(s, interactor, RULE) for s in SAMPLES)
    assert len(jax.devices()) == 2
    whole = longest_run(MAX_CLICKS)
    check(measured(SAMPLES, interactor, together=True, devices=jax.devices()), expected)
    check(measured(SAMPLES, interactor, together=True, batch=3, turns=whole), expected)
    check(measured(SAMPLES, interactor, together=True, batch=1), expected)
    check(measured(SAMPLES, interactor, together=False), expected)


@pytest.mark.slow
def test_nothing_compiles_after_the_first_call(compilations):
    interactor = ClickInteractor(Bright(), {}, refine="NoBRS")
    samples, rule = SampleList(SAMPLES), NocRule(2, 0.5)
    results = measure_batches(
        samples, range(5), interactor, rule, batch=2, devices=jax.devices()[:1]
    )  # frames of one bucket
    next(results)
    with compilations() as compiled:
        assert len(list(results)) == 4
    assert compiled.count == 0


@pytest.mark.slow
def test_the_tiny_network_with_ignored_pixels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(brs.BACKBONES, "tiny", Trunk)
        network = click_network(jax.random.key(0))
        interactor = ClickInteractor(*network, refine="NoBRS")
        rule = NocRule(3, TARGET)
        expected = by_name(run_object(s, interactor, rule) for s in SAMPLES[2:4])
        check(measured(SAMPLES[2:4], interactor, rule), expected)


@pytest.mark.slow
def test_run_noc_reports_resumes_and_lists_skipped_objects(tmp_path):
    plain = ClickInteractor(Bright(), {}, refine="NoBRS")
    empty = SAMPLES[0]._replace(name="none", mask=np.zeros_like(SAMPLES[0].mask))
    data = [SAMPLES[1], empty, SAMPLES[3]]
    options = NocRule(2, TARGET), Outputs(tmp_path)
    host = run_noc(data, plain, *options)
    rows = (tmp_path / "per_object.csv").read_text().splitlines()

    class Stop(Exception): ...

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        run_noc(data, plain, *options, batch=2, progress=stop)
    assert len((tmp_path / "progress.jsonl").read_text().splitlines()) == 2
    done = []
    device = run_noc(data, plain, *options, batch=2, progress=lambda *a: done.append(a))
    assert sorted(name for *_, name in done) == ["1", "3", "none"]
    assert (device.noc, device.mean_iou) == (host.noc, host.mean_iou)
    assert device.skipped == host.skipped == [{"name": "none", "reason": "mask without object"}]
    again = (tmp_path / "per_object.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in again] == [row.split(",")[0] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["f-BRS-B", "DistMap-BRS"])
def test_the_published_protocol_starts_where_the_last_click_ended(refine):
    plain = ClickInteractor(Bright(), {}, refine=refine, budget=BUDGET, published=True)
    rule, samples = NocRule(MAX_CLICKS, 0.97), SAMPLES[::3]
    expected = by_name(run_object(s, PublishedProtocol(plain), rule) for s in samples)
    check(measured(samples, PublishedProtocol(plain), rule, together=False), expected)
    stateless = [run_object(s, plain, rule).ious for s in samples]
    assert stateless != [result.ious for result in expected.values()]
    assert non_default_settings(PublishedProtocol(plain)) == {"max_evaluations": BUDGET}
    assert non_default_settings(plain) == {"max_evaluations": BUDGET, "warm_start": False}


@pytest.mark.slow
def test_an_object_does_not_count_the_seconds_of_others():
    plain = ClickInteractor(Bright(), {}, refine="NoBRS")
    began = time.perf_counter()
    found = measured(SAMPLES, plain, NocRule(MAX_CLICKS, 0.97), batch=1, together=False)
    assert sum(result.seconds for result in found.values()) <= time.perf_counter() - began


def test_what_cannot_run_as_a_batch_is_named():
    interactor = ClickInteractor(Bright(), {}, refine="NoBRS")
    other: Any = Mock(config=None, threshold=0.5, refine="", fingerprint="")
    with pytest.raises(ValueError, match="batch needs a network .* found Mock"):
        run_noc(SAMPLES, other, batch=2)
    with pytest.raises(ValueError, match="batch must be at least 1, found 0"):
        run_noc(SAMPLES, interactor, batch=0)


@pytest.mark.slow
def test_an_object_whose_answer_is_not_finite_is_skipped_as_by_the_host():
    class Broken(Bright):
        def predict(self, features, maps, previous):
            out = super().predict(features, maps, previous)
            return out._replace(logits=out.logits * jnp.nan)

    interactor = ClickInteractor(Broken(), {}, refine="NoBRS")
    (result,) = measured(SAMPLES[1:2], interactor, NocRule(2, TARGET), batch=1).values()
    assert result.skipped == "click 1: the network's answer is not finite" and not result.ious
    host = run_object(SAMPLES[1], interactor, NocRule(2))
    assert host.skipped and host.skipped.startswith("click 1: ") and "finite" in host.skipped
