"""Which frame a simulated user corrects next, and where it clicks."""

import numpy as np
import pytest

from ivs_jax.interaction.events import Click
from ivs_jax.interaction.video_robot import best_view, robot_click, worst_frame


def square(top, left, number=1, labels=None):
    labels = np.zeros((20, 30), np.uint8) if labels is None else labels.copy()
    labels[top : top + 5, left : left + 5] = number
    return labels


def test_the_worst_frame_not_yet_chosen():
    scores = np.array([0.5, 0.2, 0.9, 0.2])
    assert worst_frame(scores) == 1  # the first of equals
    assert worst_frame(scores, {1}) == 3
    assert worst_frame(scores, [1, 3]) == 0
    assert worst_frame(scores, range(4)) == 1  # all were chosen
    assert worst_frame(scores, [0], candidates=[2, 0]) == 2
    assert worst_frame(scores, [0, 2], candidates=[2, 0]) == 0


def test_worst_frame_refuses_what_is_no_choice():
    with pytest.raises(ValueError, match="finite numbers, T >= 1, found shape"):
        worst_frame(np.zeros(0))
    with pytest.raises(ValueError, match="finite numbers"):
        worst_frame(np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match=r"frames in 0\.\.2, found 3"):
        worst_frame(np.zeros(3), candidates=[1, 3])
    with pytest.raises(ValueError, match="found none"):
        worst_frame(np.zeros(3), candidates=[])


def test_best_view_shows_most_objects_and_then_the_largest():
    empty, one = np.zeros((20, 30), np.uint8), square(1, 1)
    both, larger = square(9, 9, 2, one), square(9, 9, 2, square(1, 3, 1, one))
    nearly = both.copy()
    nearly[9, 9] = 0
    assert best_view([empty, one, nearly, both, larger, both], [1, 2]) == 3
    assert best_view([empty, one, larger], [1]) == 2
    assert best_view([empty, one * 255], [255]) == 1
    with pytest.raises(ValueError, match=r"none of the objects \[1, 2\]"):
        best_view([empty], [2, 1])
    with pytest.raises(ValueError, match="on any frame"):
        best_view([], [1])


def test_the_click_corrects_the_largest_error_of_its_object():
    truth = square(3, 3, 1, square(12, 12, 2))
    click = robot_click(np.zeros_like(truth), truth, 4, 2)
    assert click == Click(4, 2, 14, 14, 1)
    assert robot_click(np.zeros_like(truth), truth, 4, 2, [click]) != click
    elsewhere = [Click(3, 2, 14, 14), Click(4, 1, 14, 14)]
    assert robot_click(np.zeros_like(truth), truth, 4, 2, elsewhere) == click
    wrong = square(12, 2, 2, truth)  # 2 spills over
    assert robot_click(wrong, truth, 0, 2) == Click(0, 2, 4, 14, 0)
    assert robot_click(wrong, truth, 0, 1) is None
