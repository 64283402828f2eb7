"""BRS's inference against the whole procedure written again, plainly, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models.densenet import MEAN_RGB
from ivs_jax.ops.resize import resize_cubic
from ivs_jax.refine import config_for, refine_input
from ivs_jax.session.tiles import BRSInteractor
from ivs_jax.session.tiling import fused, tiles, whole_sides
from ivs_jax.types import make_clicks
from tests.tiny import dense_network, register_dense

SIDE, STRIDE = 64, 53
SIZE, SMALL = (90, 150), (40, 50)
CLICKS = (
    (100, 69, 1),  # right at once, in two tiles
    (130, 39, 0),
    (22, 29, 0),  # wrong, but in no tile with an object click
    (118, 44, 0),  # wrong in two tiles
    (58, 30, 1),
    (70, 30, 0),
    (20, 35, 0),
)
NEAR = ((30, 20, 1), (32, 20, 0), (45, 35, 1), (44, 35, 0))


def packed(clicks):
    return make_clicks([c[:2] for c in clicks], [c[2] for c in clicks], capacity=8)


def image_of(size, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        register_dense(patch)
        net, variables = dense_network()
        variables["params"]["encoder"]["stem_extra"]["kernel"] *= 5  # clicks must count
        yield net, variables


@pytest.fixture(scope="module")
def interactor(network):
    return BRSInteractor(*network)


class Plain:
    """The network and the solver as functions of NumPy arrays."""

    def __init__(self, network):
        net, variables = network

        def logits(image, maps):
            none = jnp.zeros((1, *image.shape[:2]))
            return net.apply(variables, image[None], maps[None], none).logits[0]

        def solve(image, maps, clicks):
            found = refine_input(
                lambda delta: logits(image, maps + delta), maps, clicks, config=config_for("BRS")
            )
            return maps + found.x, jax.nn.sigmoid(found.aux), found.evaluations

        self.probability = jax.jit(lambda *args: jax.nn.sigmoid(logits(*args)))
        self.solve = jax.jit(solve)
        self.resize = jax.jit(resize_cubic, static_argnums=1)


@pytest.fixture(scope="module")
def plain(network):
    return Plain(network)


def spans(length):
    """Start and end of each tile, as the published code lists them."""
    found, start = [], 0
    while start < length:
        begin, end = min(start, length - SIDE), min(start + SIDE, length)
        found.append((max(begin, 0), end))
        if end == length:
            break
        start += STRIDE
    return found


def distances(size, x, y):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.minimum(np.hypot(rows - y, columns - x), 255.0)


class PlainBRS:
    """experiments/papers/brs.md, sections A3 and A4: state that changes with every click."""

    def __init__(self, plain, image):
        self.plain, self.image, self.size = plain, image, image.shape[:2]
        self.tiles = [(r, c) for r in spans(self.size[0]) for c in spans(self.size[1])]
        self.maps = [np.full((2, *self.size), 255.0) for _ in self.tiles]
        self.sides = [int(32 * (s * SIDE // max(self.size) // 32)) for s in self.size]
        self.small_maps = np.full((2, *self.sides), 255.0)
        self.clicks, self.whole_weight, self.evaluations = [], 1.0, 0

    def click(self, x, y, label):
        self.clicks.append((x, y, label))
        channel, self.evaluations = 1 - label, 0
        for maps in self.maps:
            maps[channel] = np.minimum(maps[channel], distances(self.size, x, y))
        small = x * self.sides[1] // self.size[1], y * self.sides[0] // self.size[0]
        new = distances(self.sides, *small)
        self.small_maps[channel] = np.minimum(self.small_maps[channel], new)
        answers = {i: self.run(i) for i in range(len(self.tiles)) if self.positive(i)}
        probability = self.fuse(answers)
        if (probability[y, x] > 0.5) == bool(label):
            return probability
        for i in answers:
            (top, bottom), (left, right) = self.tiles[i]
            if top <= y < bottom and left <= x < right:
                answers[i] = self.run(i, refine=True)
                self.whole_weight = 0.0
        return self.fuse(answers)

    def positive(self, i):
        (top, bottom), (left, right) = self.tiles[i]
        inside = [top <= y < bottom and left <= x < right for x, y, label in self.clicks if label]
        return any(inside)

    def run(self, i, refine=False):
        (top, bottom), (left, right) = self.tiles[i]
        height, width = bottom - top, right - left
        window = np.tile(np.array(MEAN_RGB, np.float32) / 255, (SIDE, SIDE, 1))
        window[:height, :width] = np.float32(self.image[top:bottom, left:right]) / 255
        maps = np.zeros((SIDE, SIDE, 2), np.float32)
        here = self.maps[i][:, top:bottom, left:right]
        maps[:height, :width] = 1 - here.transpose(1, 2, 0) / 255
        if not refine:
            return np.asarray(self.plain.probability(window, maps))[:height, :width]
        clicks = packed([(x - left, y - top, label) for x, y, label in self.clicks])
        maps, probability, evaluations = self.plain.solve(window, maps, clicks)
        self.evaluations += int(evaluations)
        here[:] = 255 * (1 - np.asarray(maps)[:height, :width].transpose(2, 0, 1))
        return np.asarray(probability)[:height, :width]

    def fuse(self, answers):
        total, count = np.zeros(self.size), np.full(self.size, 1e-9)
        if self.whole_weight:
            small = self.plain.resize(np.float32(self.image), tuple(self.sides))
            small = np.clip(np.rint(small), 0, 255) / np.float32(255)
            maps = np.float32(1 - self.small_maps.transpose(1, 2, 0) / 255)
            answer = self.plain.probability(small, maps)[..., None]
            total, count = (
                total + np.asarray(self.plain.resize(answer, self.size))[..., 0],
                count + 1,
            )
        for i, answer in answers.items():
            (top, bottom), (left, right) = self.tiles[i]
            total[top:bottom, left:right] += answer
            count[top:bottom, left:right] += 1
        return total / count


@pytest.mark.parametrize(("size", "given"), [(SIZE, CLICKS), (SMALL, NEAR)])
def test_every_click_equals_the_plain_procedure(interactor, plain, size, given):
    image, reference = image_of(size), PlainBRS(plain, image_of(size))
    weights, evaluations = [], []
    for number, click in enumerate(given, 1):
        want = reference.click(*click)
        found = interactor.predict(image, packed(given[:number]), None)
        assert found.evaluations == reference.evaluations
        np.testing.assert_allclose(found.probability, np.clip(want, 0, 1), atol=5e-4)
        weights.append(reference.whole_weight)
        evaluations.append(found.evaluations)
        assert found.satisfied.shape == (number,)
    assert 1 in weights and 0 in weights and max(evaluations) > 1


def test_the_answer_depends_on_the_arguments_alone(network, interactor):
    image, other = image_of(SIZE), image_of(SIZE, seed=1)
    fresh = BRSInteractor(*network)
    fresh._whole, fresh._tile, fresh._solve = (  # what compiled there compiles no more
        interactor._whole,
        interactor._tile,
        interactor._solve,
    )
    alone = fresh.predict(image, packed(CLICKS), None)
    assert len(fresh._remembered) == len(CLICKS)  # every click on the way
    orders = [CLICKS[:3], (CLICKS[3], CLICKS[1]), CLICKS[:5], CLICKS, CLICKS[:2], CLICKS]
    for clicks in orders:  # further clicks, another object, again, undone, made again
        found = interactor.predict(image, packed(clicks), np.zeros(SIZE, np.float32))
        interactor.predict(other, packed(clicks[:1]), None)
    np.testing.assert_array_equal(found.probability, alone.probability)
    assert (found.evaluations, found.energy) == (alone.evaluations, alone.energy)


def test_nothing_compiles_from_the_second_click_on(interactor, compilations):
    image = image_of(SIZE)
    interactor.predict(image, packed(CLICKS), None)
    with compilations() as compiled:
        answer = interactor.predict(image, packed(((5, 5, 1), (140, 85, 1), (6, 6, 0))), None)
    assert compiled.count == 0
    assert answer.seconds["compile"] == 0 and answer.probability.dtype == np.float32
    assert answer.probability.min() >= 0 and answer.probability.max() <= 1


def test_without_refinement_the_whole_image_keeps_its_say(network, interactor):
    plain_mode = BRSInteractor(*network, refine="NoBRS")
    plain_mode._whole, plain_mode._tile = interactor._whole, interactor._tile
    found = plain_mode.predict(image_of(SIZE), packed(CLICKS), None)
    assert found.evaluations == 0 and found.energy == 0
    assert found.probability.min() > 0  # no pixel without an answer
    refined = interactor.predict(image_of(SIZE), packed(CLICKS), None)
    assert (refined.probability[:26, 117:] == 0).all()  # no tile there holds an object click


def test_a_later_click_at_the_same_pixel_decides(interactor):
    found = interactor.predict(image_of(SIZE), packed(((30, 20, 0), (30, 20, 1))), None)
    again = interactor.predict(image_of(SIZE), packed(((30, 20, 1), (30, 20, 0))), None)
    assert found.satisfied.tolist() == [False, True] == again.satisfied.tolist()


@pytest.mark.parametrize("length", [1, 64, 65, 117, 118, 150, 500])
def test_tiles_lie_as_published(length):
    columns = [(t.left, t.right) for t in tiles((10, length), SIDE)]
    assert columns == spans(length)
    covered = np.zeros(length, bool)
    for tile in tiles((10, length), SIDE):
        assert tile.size[0] == 10 and tile.size[1] == min(length, SIDE)
        covered[tile.left : tile.right] = True
    assert covered.all()


def test_published_sizes():
    assert [t[:2] for t in tiles((900, 480), 480)] == [(0, 480), (400, 880), (420, 900)]
    # Of divisions that round down: 500 x 333 would else be 480 x 320.
    assert whole_sides((333, 500), 480) == (288, 480)
    assert whole_sides((1080, 1920), 480) == (256, 480)
    assert whole_sides((20, 1000), 480) == (32, 480)


def test_what_nothing_covers_is_background():
    tile = tiles((100, 100), SIDE)[0]
    found = fused((100, 100), [(tile, np.full((SIDE, SIDE), 0.8))], None)
    assert found[10, 10] == np.float32(0.8) and found[99, 99] == 0
    whole = np.full((100, 100), 0.4, np.float32)
    found = fused((100, 100), [(tile, np.full((SIDE, SIDE), 0.8))], whole)
    np.testing.assert_allclose(found[[10, 99], [10, 99]], [0.6, 0.4], rtol=1e-6)


def test_bad_arguments_are_named(network, interactor):
    with pytest.raises(ValueError, match="brs refines with BRS or NoBRS, not with f-BRS-B"):
        BRSInteractor(*network, refine="f-BRS-B")
    with pytest.raises(ValueError, match="unknown refinement mode 'best'"):
        BRSInteractor(*network, refine="best")
    with pytest.raises(ValueError, match="clicks: expected one or more, found none"):
        interactor.predict(image_of(SIZE), packed(()), None)
