"""A correction keeps what nobody asked to change."""

import numpy as np
import pytest

from ivs_jax.interaction import Click, Mask, Propagate
from ivs_jax.io import encode_rle
from ivs_jax.session import start, step
from ivs_jax.session.correction import anchor, corrected
from ivs_jax.types import Interaction
from tests.plain_engine import plain_engine


def plain_corrected(new, before, said):
    """Regions one by one, grown from pixel to pixel."""
    out, seen = new.copy(), set()
    height, width = new.shape
    reach = max(16, 0.3 * np.sqrt(max((new > 0.5).sum(), (before > 0.5).sum())))
    differs = (new > 0.5) != (before > 0.5)
    for begin in zip(*np.nonzero(differs), strict=True):
        if begin in seen:
            continue
        gained, region, todo = new[begin] > 0.5, [], [begin]
        seen.add(begin)
        while todo:
            y, x = todo.pop()
            region.append((y, x))
            for place in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                inside = 0 <= place[0] < height and 0 <= place[1] < width
                if inside and place not in seen and differs[place]:
                    if (new[place] > 0.5) == gained:
                        seen.add(place)
                        todo.append(place)
        hinted = any(said[place] == int(gained) for place in region)
        hints = np.argwhere(said == int(gained))
        for place in region:
            near = hinted and np.hypot(*(hints - place).T).min() <= reach
            out[place] = new[place] if near else before[place]
    return out


@pytest.mark.parametrize("seed", range(6))
def test_regions_equal_plain_loops(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.random((2, 7, 14), np.float32)
    new, before = (np.kron(part, np.ones((4, 4), np.float32)) for part in coarse)
    said = np.full(new.shape, -1, np.int8)
    said[tuple(rng.integers(0, new.shape, (5, 2)).T)] = rng.integers(0, 2, 5)
    np.testing.assert_array_equal(corrected(new, before, said), plain_corrected(new, before, said))


class Forgetful:
    """Answers with the right half of the frame, whatever it is asked."""

    def predict(self, image, clicks, previous, *, scribbles=None):
        p = np.zeros(image.shape[:2], np.float32)
        p[:, image.shape[1] // 2 :] = 0.9
        label = np.asarray(clicks.label)
        return Interaction(p, 0, 0.0, np.ones((label >= 0).sum(), bool), {})


def test_a_correction_of_a_propagated_mask_keeps_the_rest_of_it():
    engine = plain_engine()
    truth = engine.video.truth(0) == 1
    state = step(start(engine), Mask(0, 1, encode_rle(truth)))
    state = step(state, Propagate(start=0))
    held = state.labels(3) == 1
    object.__setattr__(engine, "interactor", Forgetful())
    after = step(state, Click(3, 1, 35, 20, 1)).labels(3) == 1
    assert (after & held).sum() == held.sum()  # nothing said that these were wrong
    assert after[20, 35] and after[10:, 25:].all()  # what the click is in was gained, around it
    assert not after[0, 20]
    fresh = step(start(engine), Click(3, 1, 35, 20, 1)).labels(3) == 1
    assert not (fresh & held).sum() == held.sum()


def test_the_anchor_is_the_innermost_pixel_that_is_not_denied():
    mask = np.zeros((40, 60), np.float32)
    mask[5:26, 10:51] = 1
    said = np.full(mask.shape, -1, np.int8)
    x, y = anchor(mask, said)
    assert y == 15 and 20 <= x <= 40
    said[:, 10:31] = 0
    x, y = anchor(mask, said)
    assert 38 <= x <= 42 and 12 <= y <= 18
    assert anchor(0 * mask, said) is None
    said[:] = 0
    assert anchor(mask, said) is None


class Curious(Forgetful):
    def predict(self, image, clicks, previous, *, scribbles=None):
        real = np.asarray(clicks.label) >= 0
        self.asked = np.asarray(clicks.xy)[real].tolist(), np.asarray(clicks.label)[real].tolist()
        return super().predict(image, clicks, previous, scribbles=scribbles)


def test_a_propagated_mask_gives_its_first_click_and_a_fresh_one_does_not():
    engine = plain_engine()
    state = step(start(engine), Mask(0, 1, encode_rle(engine.video.truth(0) == 1)))
    state = step(state, Propagate(start=0))
    network = Curious()
    object.__setattr__(engine, "interactor", network)
    after = step(state, Click(3, 1, 35, 20, 1))
    points, labels = network.asked
    assert len(points) == 2 and labels == [1, 1] and points[1] == [35, 20]
    assert state.labels(3)[int(points[0][1]), int(points[0][0])] == 1
    assert after.clicks_satisfied() == (1, 1)  # of the clicks that were made
    step(start(engine), Click(3, 1, 35, 20, 1))
    assert network.asked == ([[35, 20]], [1])
