"""Who owns a pixel, against a plain loop over pixels."""

import numpy as np
import pytest

from ivs_jax.interaction import Click, Scribble, Stroke
from ivs_jax.interaction.strokes import drawn_pixels
from ivs_jax.session.hints import PromptMaps
from ivs_jax.session.merge import PROMPT_RADIUS, compose, most_probable

SIZE = (9, 12)


def words(hints):
    """What was said: (object, is it here?, pixels (x, y)), the last word at the end."""
    for hint in hints:
        if isinstance(hint, Click):
            yield hint.object, bool(hint.label), [(hint.x, hint.y)]
        else:
            for stroke in hint.strokes:
                yield stroke.object, stroke.object != 0, drawn_pixels(stroke.path, SIZE).tolist()


def plain_compose(size, marked, hints, propagated):
    """The rule of `compose`, pixel by pixel, in words of the user."""
    labels, said = np.zeros(size, np.uint8), list(enumerate(words(hints)))
    for y in range(size[0]):
        for x in range(size[1]):

            def within(word, radius, x=x, y=y):
                return any((u - x) ** 2 + (v - y) ** 2 <= radius**2 for u, v in word[1][2])

            near = [word for word in said if within(word, PROMPT_RADIUS)]
            here = [word for word in near if within(word, 0)]
            candidates = []
            for order, (number, p) in enumerate(marked.items()):
                about = [word for word in here if word[1][0] in (number, 0)]
                exact = bool(about)
                about = about or [word for word in near if word[1][0] in (number, 0)]
                if about and not about[-1][1][1]:
                    continue
                if about:
                    candidates.append((1 + exact, about[-1][0], order, number))
                elif p[y, x] > 0.5:
                    candidates.append((0, p[y, x], order, number))
            empty = any(word[1][0] == 0 for word in near)
            if candidates:
                labels[y, x] = max(candidates)[-1]
            elif propagated is not None and propagated[y, x] not in marked and not empty:
                labels[y, x] = propagated[y, x]
    return labels


def composed(marked, hints, propagated):
    return compose(marked, PromptMaps(hints, SIZE), propagated)


def random_hint(rng, ids):
    def point():
        return int(rng.integers(12)), int(rng.integers(9))

    if rng.random() < 0.5:
        return Click(0, int(rng.choice(ids)), *point(), int(rng.integers(2)))
    return Scribble(
        0,
        tuple(
            Stroke(int(rng.choice([0, *ids])), tuple(point() for _ in range(rng.integers(1, 4))))
            for _ in range(rng.integers(1, 3))
        ),
    )


@pytest.mark.parametrize("seed", range(30))
def test_compose_equals_plain_loop(seed):
    rng = np.random.default_rng(seed)
    ids = rng.permutation([1, 2, 5])[: seed % 4].tolist()
    marked = {k: np.round(rng.random(SIZE, np.float32), 1) for k in ids}  # with ties
    hints = [random_hint(rng, ids) for _ in range(seed % 7)] if ids else []
    propagated = rng.integers(0, 7, SIZE).astype(np.uint8) if seed % 3 else None
    found = composed(marked, hints, propagated)
    np.testing.assert_array_equal(found, plain_compose(SIZE, marked, hints, propagated))
    assert found.dtype == np.uint8


def test_strokes_hold_and_nothing_propagated_crosses_the_background():
    down, across = Stroke(0, ((6, 0), (6, 8))), Stroke(2, ((0, 4), (11, 4)))
    sure = {1: np.ones(SIZE, np.float32), 2: np.zeros(SIZE, np.float32)}
    labels = composed(sure, [Scribble(0, (down, across))], None)
    assert (labels[4] == 2).all() and (labels[3:6, :3] == 2).all()
    assert (labels[[0, 1, 7, 8], 6] == 0).all() and (labels[:2, 3] == 1).all()
    everywhere = np.full(SIZE, 7, np.uint8)
    labels = composed({2: sure[2]}, [Scribble(0, (down, across))], everywhere)
    assert (labels[[0, 1, 7, 8], 6] == 0).all() and (labels[4] == 2).all()
    assert (labels[:2, :3] == 7).all()


def test_clicked_pixels_get_what_the_user_said():
    sure = {1: np.ones(SIZE, np.float32), 2: np.zeros(SIZE, np.float32)}
    clicks = [Click(0, 2, 0, 0), Click(0, 1, 6, 4, 0), Click(0, 1, 11.4, 8.4, 1)]
    labels = composed(sure, clicks, None)
    assert labels[0, 0] == 2 and labels[4, 6] == 0 and labels[8, 11] == 1 and labels[0, 8] == 1


def test_a_later_click_holds_where_two_contradict():
    zero = {1: np.zeros(SIZE, np.float32), 2: np.zeros(SIZE, np.float32)}
    both = [Click(0, 2, 5, 5), Click(0, 1, 5, 5)]
    assert composed(zero, both, None)[5, 5] == 1
    assert composed(zero, both[::-1], None)[5, 5] == 2
    # The disk of the second click does not take the very pixel of the first.
    assert composed(zero, [Click(0, 2, 5, 5), Click(0, 1, 6, 5)], None)[5, 5] == 2


def test_propagation_never_takes_marked_pixels():
    marked = {3: np.zeros(SIZE, np.float32)}
    marked[3][2:5, 2:5] = 0.8
    labels = composed(marked, [], np.full(SIZE, 7, np.uint8))
    assert (labels[2:5, 2:5] == 3).all() and (labels == 7).sum() == labels.size - 9


def test_most_probable_gives_the_next_one_where_a_fixed_object_won():
    p = np.array([[[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.25, 0.6, 0.15]]], np.float32)
    assert most_probable(p, (4, 9)).tolist() == [[4, 0, 4]]
    assert most_probable(p, (4, 9), fixed={4}).tolist() == [[9, 0, 0]]
    assert most_probable(p, (4, 9), fixed={4, 9}).tolist() == [[0, 0, 0]]
