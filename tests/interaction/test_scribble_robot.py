"""The scribble robot against plain readings of the published rules."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from ivs_jax.evaluation.davis import open_davis, read_objects
from ivs_jax.interaction.events import Stroke
from ivs_jax.interaction.scribble_robot import (
    bezier,
    longest_paths,
    medial_axis,
    opened,
    robot_scribbles,
    spanning_tree,
)

SIZE = (60, 90)


def blank():
    return np.zeros(SIZE, np.uint8)


def blobs(seed, size=SIZE, smooth=3.0, share=0.4):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), smooth)
    return noise > np.quantile(noise, 1 - share)


def skeleton_of(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def plain_tree(points):
    """Edges left after the heaviest edge of a cycle was deleted until there is none (published)."""
    reach = [(a, b) for i, a in enumerate(points) for b in points[:i]]
    edges = {
        frozenset(e) for e in reach if max(abs(e[0][0] - e[1][0]), abs(e[0][1] - e[1][1])) == 1
    }

    def length(edge):
        (r, c), (s, d) = edge
        return (r - s) ** 2 + (c - d) ** 2

    def cycle_through(edge):
        """The other edges of a cycle that `edge` closes, or None."""
        begin, end = edge
        before, frontier = {begin: None}, [begin]
        while frontier:
            at = frontier.pop()
            for other in (o for e in edges - {edge} if at in e for o in e - {at}):
                if other not in before:
                    before[other] = at
                    frontier.append(other)
        if end not in before:
            return None
        chain = [end]
        while chain[-1] != begin:
            chain.append(before[chain[-1]])
        return [frozenset(pair) for pair in pairwise(chain)]

    for edge in sorted(edges, key=sorted):
        while edge in edges and (cycle := cycle_through(edge)):
            edges.remove(max([*cycle, edge], key=length))
    return edges, sum(np.sqrt(length(edge)) for edge in edges)


def edges_of(points):
    """The edges that the robot leaves between `points` `[n, 2]`, and their length in all."""
    tree = spanning_tree(points).tocoo()
    ends = zip(points[tree.row].tolist(), points[tree.col].tolist(), strict=True)
    return {frozenset((tuple(a), tuple(b))) for a, b in ends}, tree.sum()


def longest_in(edges):
    """Pixels of the longest path of a forest, by trying every end."""

    def depth(at, came):
        nexts = [o for e in edges if at in e for o in e - {at} if o != came]
        return 1 + max((depth(o, at) for o in nexts), default=0)

    return max(depth(point, None) for edge in edges for point in edge)


@pytest.mark.parametrize(
    ("error", "radius"),
    [*((blobs(seed), None) for seed in range(3)), (blobs(0, (200, 240), 9.0, 0.7), 16)],
)
def test_opening_is_that_of_a_disk(error, radius):
    radius = radius or 0.1 * np.sqrt(error.sum())  # of more than 25600 pixels it would exceed 16
    reach = np.arange(-17, 18)
    disk = reach[:, None] ** 2 + reach**2 <= radius**2
    core = ndimage.binary_erosion(error, disk, border_value=1)  # what is beyond does not erode
    expected = ndimage.binary_dilation(core, disk)
    assert 3 < radius <= 16 and 0 < expected.sum() < error.sum()
    assert np.array_equal(opened(error), expected)


def test_opening_takes_a_smaller_disk_rather_than_nothing():
    bar = np.zeros((60, 200), bool)
    bar[20:25, 5:195] = True  # area 950: radius 3.08 leaves nothing, 0.9 of it does
    assert np.array_equal(opened(bar)[15:30], opened(bar[15:30]))
    assert 0.9 * bar.sum() < opened(bar).sum() < bar.sum()  # the corners go
    line = np.zeros((60, 200), bool)
    line[20, 5:195] = True  # area 190: nothing is left at any radius above 1
    assert not opened(line).any()
    small = np.zeros((60, 200), bool)
    small[3, 4:50] = True  # area 46: its radius is below 1, so it is not opened at all
    assert np.array_equal(opened(small), small)
    assert opened(np.ones((40, 50), bool)).all()


@pytest.mark.parametrize("seed", range(3))
def test_trees_and_longest_paths_are_those_of_the_plain_rules(seed):
    axis = medial_axis(blobs(seed, (26, 30), 1.2, 0.6), 0)
    parts, count = ndimage.label(axis, np.ones((3, 3)))
    paths = list(longest_paths(axis))
    kept = [i for i in range(1, count + 1) if (parts == i).sum() >= 4]
    assert len(paths) == len(kept) > 0
    for path, index in zip(paths, kept, strict=True):
        points = np.argwhere(parts == index)
        left, length = edges_of(points)
        plain, expected = plain_tree([*map(tuple, points)])
        # Which of equally heavy edges goes is free, but not how many, nor their length in all.
        assert len(left) == len(plain) and length == pytest.approx(expected)
        assert len(path) == len({*map(tuple, path)}) == longest_in(left)
        assert all(frozenset(map(tuple, pair)) in left for pair in pairwise(path.tolist()))


def test_longest_path_leaves_side_branches_and_opens_rings():
    comb = skeleton_of(
        "............", ".##########.", "......#.....", "......#.....", "......#....."
    )
    (path,) = longest_paths(comb)
    assert sorted(map(tuple, path)) == [(1, x) for x in range(1, 11)]
    ring = skeleton_of(".####.", "#....#", "#....#", ".####.")
    (path,) = longest_paths(ring)
    assert len(path) == ring.sum()
    assert np.abs(path[0] - path[-1]).tolist() == [1, 1]  # a diagonal, the heaviest, was cut


def test_parts_of_fewer_than_four_pixels_have_no_path():
    assert not list(longest_paths(skeleton_of("###..", ".....", "...##")))
    assert [len(path) for path in longest_paths(skeleton_of("####.", ".....", "...##"))] == [4]
    assert not list(longest_paths(np.zeros((4, 4), bool)))


def test_bezier_is_de_casteljaus():
    points = np.random.default_rng(0).uniform(0, 100, (40, 2))
    curve = bezier(points)
    assert curve.shape == (1000, 2)
    for i in (0, 1, 250, 613, 999):
        left = points
        while len(left) > 1:
            left = left[:-1] + i / 999 * (left[1:] - left[:-1])
        assert curve[i] == pytest.approx(left[0], abs=1e-9)
    longest = np.stack([np.arange(1000.0), np.zeros(1000)], 1)  # binomials far beyond float64
    assert bezier(longest)[:, 0] == pytest.approx(np.linspace(0, 999, 1000), abs=1e-6)
    beyond = np.zeros((1001, 2))
    assert bezier(beyond) is beyond


def test_strokes_lie_in_the_errors_of_each_id():
    truth, prediction = blank(), blank()
    truth[10:30, 5:45], truth[35:55, 50:80] = 1, 7
    prediction[10:30, 5:20] = 1  # the left of 1 is right already
    prediction[35:55, 50:80] = 1  # 7 is taken for 1
    prediction[2:9, 60:85] = 7  # nothing is here
    strokes = robot_scribbles(prediction, truth, [7, 1])
    assert [stroke.object for stroke in strokes] == [0, 1, 7]  # background first, then by id
    wrong = {number: (truth == number) & (prediction != number) for number in (0, 1, 7)}
    for stroke in strokes:
        path = np.array(stroke.path)
        assert np.array_equal(path, path.astype(int)) and np.abs(np.diff(path, axis=0)).max() == 1
        x, y = path.astype(int).T
        assert wrong[stroke.object][y, x].all()
    x, y = np.array(strokes[1].path).T
    assert np.ptp(x) > 10 and np.abs(y - 19.5).max() < 7  # along the middle of the missed part


def test_what_is_right_void_or_of_no_interest_gets_no_stroke():
    truth = blank()
    truth[10:30, 5:45] = 1
    assert robot_scribbles(truth.copy(), truth, [1]) == ()
    assert robot_scribbles(blank(), truth, []) == ()
    void = np.where(truth == 1, 255, 0).astype(np.uint8)
    assert robot_scribbles(truth, void, [1]) == ()
    (first,) = robot_scribbles(blank(), truth, [1])  # before the first round: no background stroke
    assert first.object == 1


def test_strokes_reach_the_border_of_the_frame():
    truth = blank()
    truth[:, :30] = 3
    (stroke,) = robot_scribbles(blank(), truth, [3])
    xy = np.array(stroke.path)
    assert xy.min() >= 0 and (xy <= (SIZE[1] - 1, SIZE[0] - 1)).all() and np.ptp(xy[:, 1]) > 30


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"truth must be \[H, W\] uint8, found \(60, 90\) bool"):
        robot_scribbles(blank(), blank() > 0, [1])
    with pytest.raises(ValueError, match=r"prediction is \(60, 80\), truth is \(60, 90\)"):
        robot_scribbles(blank()[:, :80], blank(), [1])


def test_same_seed_same_strokes_on_real_objects(shared_data):
    sequence = open_davis(shared_data / "davis", sequences=["stroller"])[0]
    truth = read_objects(sequence.annotations[40], (480, 854))
    shifted = np.roll(truth, 20, axis=1)
    strokes = robot_scribbles(shifted, truth, [1], 3)
    assert strokes == robot_scribbles(shifted, truth, [1], 3)
    assert strokes != robot_scribbles(shifted, truth, [1], 4)
    assert {stroke.object for stroke in strokes} == {0, 1}
    inside = [truth[int(y), int(x)] == s.object for s in strokes for x, y in s.path]
    assert np.mean(inside) > 0.97
    assert all(isinstance(stroke, Stroke) for stroke in strokes)
