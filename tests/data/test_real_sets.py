"""All samplers on the real sets, where they are present."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.scribble_samples import ScribbleSamples
from ivs_jax.data.sets import Davis, Stills

STILLS = tuple(Stills(f"stills/{name}") for name in ("voc", "coco", "horses"))
CLIPS = (Davis("davis", split="train", resolution="240p", year="2016"),)


@pytest.mark.parametrize("part", [*STILLS, replace(CLIPS[0], every=8)])
def test_click_samples(shared_data, part):
    sampler = ClickSamples((part,), size=96, strategy="mixed").open(shared_data)
    for seed in range(3):
        sample = sampler(np.random.default_rng(seed))
        columns, rows = sample.clicks.xy[sample.clicks.label >= 0].astype(int).T
        marks = sample.clicks.label[sample.clicks.label >= 0]
        np.testing.assert_array_equal(sample.truth[rows, columns], marks)
        assert sample.image.std() > 10


def test_clips_and_scribbles(shared_data):
    settings = ClipSamples(STILLS, CLIPS, size=96, real=0.5)
    sampler = ScribbleSamples(settings).open(shared_data)
    for seed in range(6):
        sample = sampler(np.random.default_rng(seed))
        target = sample.labels[sample.annotated] == 1
        assert (sample.scribbles[..., 0].astype(bool) & target).any()
        # An object looks much the same in all frames: its mean colour changes little.
        pairs = zip(sample.frames, sample.labels == 1, strict=True)
        means = np.array([frame[mask].mean(0) for frame, mask in pairs if mask.any()])
        assert np.ptp(means, 0).max() < 80


def test_the_listed_sequences_are_there(shared_data):
    clips: Any = CLIPS[0].open(shared_data)
    assert len(clips) == 24 and sum(len(clip) for clip in clips) == 1673
    assert clips[0].size == (243, 432) and set(np.unique(clips[0].labels(0))) == {0, 1}
