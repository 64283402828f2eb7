"""An image is copied and encoded once, whatever is asked about it afterwards."""

import jax
import numpy as np
import pytest
from PIL import Image

from ivs_jax.api import ImagePredictor
from ivs_jax.models import brs
from ivs_jax.session import Engine, ImageEncoder
from ivs_jax.session.click import ClickInteractor
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo
from tests.tiny import BACKBONE, click_network

RED = (6, 3)


class PlainEncoder(PlainInteractor):
    """Counts what it encodes."""

    def __init__(self):
        super().__init__()
        self.encoded, self.given = 0, []

    def encode(self, image):
        self.encoded += 1
        return ("features", image)

    def predict(self, image, clicks, previous, *, scribbles=None, encoded=None):
        self.given.append(encoded)
        return super().predict(image, clicks, previous)


def predictor_with(interactor):
    return ImagePredictor(lambda video: Engine(video, interactor, PlainPropagator(), "plain"))


def test_an_image_is_encoded_once():
    interactor = PlainEncoder()
    predictor = predictor_with(interactor)
    predictor.set_image(PlainVideo()[0])
    _, _, logits = predictor.predict([RED], [1])
    predictor.predict([RED], [1], mask_input=logits)
    assert interactor.encoded == 1 and interactor.given[0] is interactor.given[1]
    predictor.set_image(PlainVideo()[1])
    predictor.predict([RED], [1])
    assert interactor.encoded == 2 and interactor.given[2] is not interactor.given[0]
    assert isinstance(interactor, ImageEncoder) and not isinstance(PlainInteractor(), ImageEncoder)


@pytest.fixture(scope="module", params=["NoBRS", "BRS"])
def network(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(brs.BACKBONES, "tiny", BACKBONE)
        yield ClickInteractor(*click_network(jax.random.key(0)), refine=request.param, budget=8)


def test_a_network_encodes_a_window_once_and_answers_the_same(network, monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    windows = []
    encode = network._encode

    def counted(variables, window):
        windows.append(window)
        return encode(variables, window)

    monkeypatch.setattr(network, "_encode", counted)
    predictor = predictor_with(network)
    predictor.set_image(image)
    assert len(windows) == 1
    first = predictor.predict([(30, 20)], [1])
    second = predictor.predict([(30, 20), (60, 40)], [1, 0])
    assert len(windows) == 1  # without a mask to correct, all see the whole image
    mask = np.full((1, 150, 200), -5, np.float32)
    mask[0, 15:25, 25:35] = 5
    predictor.predict([(30, 20)], [1], mask_input=mask)
    counted_once = len(windows)
    corrected = predictor.predict([(30, 20)], [1], mask_input=mask)
    assert len(windows) == counted_once > 1  # the window around the mask, and its widenings

    plain = predictor_with(Forgetful(network))
    plain.set_image(image)
    for found, options in (
        (first, {"point_coords": [(30, 20)], "point_labels": [1]}),
        (second, {"point_coords": [(30, 20), (60, 40)], "point_labels": [1, 0]}),
        (corrected, {"point_coords": [(30, 20)], "point_labels": [1], "mask_input": mask}),
    ):
        np.testing.assert_allclose(found[2], plain.predict(**options)[2], atol=1e-3)


def test_rgb_brs_changes_the_image_and_so_keeps_nothing(network, monkeypatch):
    changing = ClickInteractor(network.network, network.variables, refine="RGB-BRS")
    monkeypatch.setattr(changing, "_encode", None)  # not called
    image = np.zeros((150, 200, 3), np.uint8)
    box = np.array([0, 0, 64, 64], np.float32)
    assert changing._features(changing.encode(image), box, np.zeros((64, 64, 3))) is None


class Forgetful:
    """The same network without the door."""

    def __init__(self, network):
        self.predict = network.predict


def test_the_image_is_copied():
    predictor, image = predictor_with(PlainInteractor()), PlainVideo()[0]
    predictor.set_image(image)
    before = predictor.predict([RED], [1])[0]
    image[:] = 0
    np.testing.assert_array_equal(predictor.predict([RED], [1])[0], before)


def test_pictures_and_the_order_of_colours():
    image = PlainVideo()[0]
    predictor = predictor_with(PlainInteractor())
    predictor.set_image(image)
    want = predictor.predict([RED], [1])[2]
    for other, order in ((Image.fromarray(image), "RGB"), (image[..., ::-1], "BGR")):
        predictor.set_image(other, order)
        np.testing.assert_array_equal(predictor.predict([RED], [1])[2], want)
    predictor.reset_predictor()
    with pytest.raises(ValueError, match="call set_image first"):
        predictor.predict([RED], [1])


@pytest.mark.parametrize(
    "image, order, words",
    [
        (np.zeros((24, 40)), "RGB", r"image is float64 \[24, 40\], expected uint8 \[H, W, 3\]"),
        (np.zeros((3, 24, 40), np.uint8), "RGB", r"uint8 \[3, 24, 40\]"),
        (np.zeros((0, 40, 3), np.uint8), "RGB", r"uint8 \[0, 40, 3\]"),
        (np.zeros((24, 40, 3), np.uint8), "rgb", "image_format must be RGB or BGR, got 'rgb'"),
    ],
)
def test_images_that_are_refused(image, order, words):
    with pytest.raises(ValueError, match=words):
        predictor_with(PlainInteractor()).set_image(image, order)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"point_coords": [[6, 7, 8], [3, 3, 3]], "point_labels": [1, 1, 1]}, r"are \[2, 3\]"),
        ({"point_coords": [RED], "point_labels": [99]}, r"found \[99\]"),
        ({"point_coords": [(np.inf, 3)], "point_labels": [1]}, "points must be finite"),
        (
            {"point_coords": [RED], "point_labels": [1], "mask_input": np.full((24, 40), np.nan)},
            r"expected finite \[1, 24, 40\] logits",
        ),
        ({"box": [1, 2, np.nan, 4]}, "box must be"),
    ],
)
def test_prompts_that_are_refused(options, words):
    predictor = predictor_with(PlainInteractor())
    predictor.set_image(PlainVideo()[0])
    with pytest.raises(ValueError, match=words):
        predictor.predict(**options)
