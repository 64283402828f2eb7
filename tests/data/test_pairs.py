import numpy as np

from ivs_jax.data.crops import Windows
from ivs_jax.data.motion import Motion
from ivs_jax.data.pairs import pseudo_clip, renumbered
from tests.data.scenes import two_disks

SIZE = 64


def _clip(seed, *, objects=1, length=3, motion=None):
    rng = np.random.default_rng(seed)
    return pseudo_clip(
        two_disks(),
        rng,
        objects=objects,
        length=length,
        size=SIZE,
        windows=Windows(),
        motion=motion or Motion(),
    )


def test_ids_become_consecutive_and_void_stays():
    labels = np.array([0, 3, 9, 7, 255], np.uint8)
    np.testing.assert_array_equal(renumbered(labels, [9, 3]), [0, 2, 1, 0, 255])


def test_labels_stay_on_their_object_also_when_it_is_bent():
    for seed in range(12):
        frames, labels = _clip(seed, length=4, motion=Motion(bend=0.5, bend_size=0.03))
        assert frames.shape == (4, SIZE, SIZE, 3) and labels.shape == (4, SIZE, SIZE)
        colour = np.median(frames[0][labels[0] == 1], 0)
        for frame, label in zip(frames.astype(int), labels, strict=True):
            like = np.abs(frame - colour).max(-1) < 0.5 * colour.max()
            assert np.mean((like == (label == 1))[label != 255]) > 0.96


def test_frames_differ_more_and_more():
    labels = [_clip(seed)[1] == 1 for seed in range(40)]

    def overlap(a, b):
        pairs = [(x[a] & x[b]).sum() / max((x[a] | x[b]).sum(), 1) for x in labels]
        return np.mean(pairs)

    assert 0.2 < overlap(0, 2) < overlap(0, 1) < 0.95


def test_a_still_with_too_few_objects_gives_none():
    assert _clip(0, objects=2) is not None and _clip(0, objects=3) is None
