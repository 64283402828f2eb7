"""The prompts of a frame as pixels, against plain loops over the prompts."""

import numpy as np
import pytest

from ivs_jax.interaction import Click, Scribble, Stroke
from ivs_jax.interaction.strokes import drawn_pixels
from ivs_jax.session.hints import PromptMaps, without

SIZE = (9, 12)


def random_prompt(rng):
    def point():
        return float(rng.uniform(-0.5, 11.5)), float(rng.uniform(-0.5, 8.5))

    if rng.random() < 0.5:
        return Click(0, int(rng.integers(1, 3)), *point(), int(rng.integers(2)))
    strokes = [Stroke(int(rng.integers(3)), (point(), point())) for _ in range(rng.integers(1, 3))]
    return Scribble(0, tuple(strokes))


def plain_maps(prompts):
    """(what was drawn, the same without what was clicked later, prompt map of object 1)."""
    drawn, labels = np.full(SIZE, 255, np.uint8), np.full(SIZE, 255, np.uint8)
    signed = np.full(SIZE, -1, np.int8)
    for prompt in prompts:
        if isinstance(prompt, Click):
            y, x = int(np.floor(prompt.y + 0.5)), int(np.floor(prompt.x + 0.5))
            labels[y, x] = 255
            if prompt.object == 1:
                signed[y, x] = prompt.label
            continue
        for stroke in prompt.strokes:
            for x, y in drawn_pixels(stroke.path, SIZE).tolist():
                drawn[y, x] = labels[y, x] = stroke.object
                signed[y, x] = 1 if stroke.object == 1 else 0
    return drawn, labels, signed


@pytest.mark.parametrize("seed", range(12))
def test_the_last_prompt_holds_at_every_pixel(seed):
    rng = np.random.default_rng(seed)
    prompts = [random_prompt(rng) for _ in range(8)]
    maps, (drawn, labels, signed) = PromptMaps(prompts, SIZE), plain_maps(prompts)
    np.testing.assert_array_equal(maps.stroke_labels, drawn)
    np.testing.assert_array_equal(maps.prompt_labels(), labels)
    np.testing.assert_array_equal(maps.prompt_map(1), signed)
    last = [prompts[-1]] if isinstance(prompts[-1], Scribble) else []
    np.testing.assert_array_equal(maps.last_strokes(), plain_maps(last)[0])


def test_without_strokes_nothing_was_drawn():
    maps = PromptMaps([Click(0, 1, 3, 4)], SIZE)
    assert maps.stroke_labels is None
    assert maps.interactor_input(1, np.zeros(SIZE, bool)).scribbles is None


def test_an_interactor_gets_the_clicks_of_its_object_and_pixels_of_strokes_near_it():
    far, own = Stroke(2, ((0, 0), (2, 0))), Stroke(1, ((8, 8), (10, 8)))
    prompts = [Click(0, 1, 5.5, 4, 0), Click(0, 2, 1, 1), Scribble(0, (far, own))]
    mask = np.zeros(SIZE, bool)
    given = PromptMaps(prompts, SIZE).interactor_input(1, mask, anchor=(6, 6))
    real = given.clicks.label >= 0
    xy, label = np.asarray(given.clicks.xy)[real].tolist(), given.clicks.label[real].tolist()
    assert xy[:2] == [[6, 6], [5.5, 4]] and label[:2] == [1, 0]
    assert given.clicked[:2] == (False, True) and not any(given.clicked[2:])
    # The stroke of object 2 is 8 pixels from object 1's stroke and more: it lies too far.
    assert {tuple(p) for p in xy[2:]} <= {(8, 8), (9, 8), (10, 8), (2, 0)}
    assert given.scribbles is not None and given.scribbles[0, 0] == 0 == label[1]


def test_prompts_of_one_object_are_taken_out():
    strokes = Stroke(1, ((0, 0), (2, 0))), Stroke(2, ((8, 8), (10, 8)))
    prompts = [Click(0, 1, 5, 4), Click(0, 2, 1, 1), Scribble(0, strokes)]
    left = without(prompts, 1)
    assert left == (prompts[1], Scribble(0, strokes[1:]))
    assert without(left, 2) == ()
