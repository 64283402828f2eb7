"""Who owns a pixel, against a plain loop over pixels."""

import numpy as np
import pytest

from ivs_jax.interaction import Click
from ivs_jax.session.merge import CLICK_RADIUS, compose, most_probable

SIZE = (9, 12)


def plain_compose(size, marked, clicks, propagated):
    """The rule of `compose`, pixel by pixel, in words of the user."""
    labels = np.zeros(size, np.uint8)
    for y in range(size[0]):
        for x in range(size[1]):
            near = [c for c in clicks if (c.x - x) ** 2 + (c.y - y) ** 2 <= CLICK_RADIUS**2]
            here = [c for c in near if (c.x, c.y) == (x, y)]
            candidates = []
            for order, (number, p) in enumerate(marked.items()):
                said = [c for c in here if c.object == number]
                said = said or [c for c in near if c.object == number]
                if said and not said[-1].label:
                    continue
                if said:
                    strength = 1 + (said[-1] in here)
                    candidates.append((strength, clicks.index(said[-1]), order, number))
                elif p[y, x] > 0.5:
                    candidates.append((0, p[y, x], order, number))
            if candidates:
                labels[y, x] = max(candidates)[-1]
            elif propagated is not None and propagated[y, x] not in marked:
                labels[y, x] = propagated[y, x]
    return labels


@pytest.mark.parametrize("seed", range(20))
def test_compose_equals_plain_loop(seed):
    rng = np.random.default_rng(seed)
    marked = {k: rng.random(SIZE, np.float32) for k in rng.permutation([1, 2, 5])[: seed % 4]}
    marked = {int(k): np.round(p, 1) for k, p in marked.items()}  # with ties
    clicks = (
        [
            Click(0, int(k), int(rng.integers(12)), int(rng.integers(9)), int(rng.integers(2)))
            for k in rng.choice(list(marked), seed % 7)
            if marked
        ]
        if marked
        else []
    )
    propagated = rng.integers(0, 7, SIZE).astype(np.uint8) if seed % 3 else None
    found = compose(SIZE, marked, clicks, propagated)
    np.testing.assert_array_equal(found, plain_compose(SIZE, marked, clicks, propagated))
    assert found.dtype == np.uint8


def test_clicked_pixels_get_what_the_user_said():
    sure = {1: np.ones(SIZE, np.float32), 2: np.zeros(SIZE, np.float32)}
    clicks = [Click(0, 2, 0, 0), Click(0, 1, 6, 4, 0), Click(0, 1, 11.4, 8.4, 1)]
    labels = compose(SIZE, sure, clicks, None)
    assert labels[0, 0] == 2 and labels[4, 6] == 0 and labels[8, 11] == 1 and labels[0, 8] == 1


def test_a_later_click_holds_where_two_contradict():
    zero = {1: np.zeros(SIZE, np.float32), 2: np.zeros(SIZE, np.float32)}
    both = [Click(0, 2, 5, 5), Click(0, 1, 5, 5)]
    assert compose(SIZE, zero, both, None)[5, 5] == 1
    assert compose(SIZE, zero, both[::-1], None)[5, 5] == 2
    # The disk of the second click does not take the very pixel of the first.
    assert compose(SIZE, zero, [Click(0, 2, 5, 5), Click(0, 1, 6, 5)], None)[5, 5] == 2


def test_propagation_never_takes_marked_pixels():
    marked = {3: np.zeros(SIZE, np.float32)}
    marked[3][2:5, 2:5] = 0.8
    labels = compose(SIZE, marked, [], np.full(SIZE, 7, np.uint8))
    assert (labels[2:5, 2:5] == 3).all() and (labels == 7).sum() == labels.size - 9


def test_most_probable_gives_the_next_one_where_a_fixed_object_won():
    p = np.array([[[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.25, 0.6, 0.15]]], np.float32)
    assert most_probable(p, (4, 9)).tolist() == [[4, 0, 4]]
    assert most_probable(p, (4, 9), fixed={4}).tolist() == [[9, 0, 0]]
    assert most_probable(p, (4, 9), fixed={4, 9}).tolist() == [[0, 0, 0]]
