import numpy as np
import pytest

from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.scribble_samples import ScribbleSamples
from ivs_jax.data.sets import Clips, Stills
from tests.data.scenes import Moving, mixture, two_disks

SIZE = 96
CLIPS = ClipSamples(stills=(Stills("s"),), clips=(Clips("c"),), real=0.5, size=SIZE, length=3)


def _samples(count=20, **options):
    settings, rng = ScribbleSamples(CLIPS, **options), np.random.default_rng(0)

    def clips(rng, *, index):
        return CLIPS.draw(mixture(two_disks()), mixture(Moving()), rng, index=index)

    return [settings.draw(clips, rng) for _ in range(count)]


def test_scribbles_mark_the_object_of_the_annotated_frame():
    frames = set()
    for sample in _samples():
        assert sample.frames.shape == (3, SIZE, SIZE, 3) and sample.labels.shape == (3, SIZE, SIZE)
        assert sample.scribbles.shape == (SIZE, SIZE, 2) and sample.scribbles.dtype == np.uint8
        assert set(np.unique(sample.scribbles)) <= {0, 1}
        target = sample.labels[sample.annotated] == 1
        own, other = np.moveaxis(sample.scribbles, -1, 0) > 0
        assert own.any() and (own & target).sum() > 0.4 * own.sum() and not (own & other).any()
        frames.add(int(sample.annotated))
    assert frames == {0, 1, 2}


@pytest.mark.parametrize(("negative", "low", "high"), [(0.0, 0, 0), (1.0, 0.8, 1)])
def test_background_scribbles_come_as_often_as_asked_and_off_the_object(negative, low, high):
    there = []
    for sample in _samples(negative=negative):
        other = sample.scribbles[..., 1] > 0
        target = sample.labels[sample.annotated] == 1
        assert (other & target).sum() <= 0.1 * other.sum()  # dilation reaches 2 pixels
        there.append(other.any())
    assert low <= np.mean(there) <= high


def test_several_objects_are_refused():
    clips = ClipSamples(stills=(Stills("s"),), real=0.0, objects=(0.5, 0.5))
    with pytest.raises(ValueError, match=r"scribbles mark one object, found .*\(0.5, 0.5\)"):
        ScribbleSamples(clips)
