"""The examples in public docstrings run as they stand, with colours in place of networks."""

import doctest
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import ivs_jax
from ivs_jax.api import VideoState, box_clicks
from ivs_jax.evaluation.noc import run_noc
from ivs_jax.session import Engine, build
from tests.plain_engine import (
    MeasuredInteractor,
    PlainInteractor,
    PlainStreamPropagator,
    PlainVideo,
)

SCALE = 4
PREDICTORS = (ivs_jax.ImagePredictor, ivs_jax.VideoPredictor, ivs_jax.StreamPredictor)
EVENT_UNION = "Event"  # a type, without a docstring of its own


def public() -> Iterator[tuple[str, Any]]:
    """What a newcomer meets: name and object."""
    yield "ivs_jax", ivs_jax
    yield from ((n, getattr(ivs_jax, n)) for n in ivs_jax.__all__ if n != EVENT_UNION)
    for predictor in PREDICTORS:
        for name, member in vars(predictor).items():
            if not name.startswith("_"):
                yield f"{predictor.__name__}.{name}", member
    yield from ((f.__name__, f) for f in (VideoState, box_clicks, run_noc))


PUBLIC = dict(public())


def frames() -> np.ndarray:
    """Squares of three colours on a dark ground, `[8, 96, 160, 3]`."""
    small = PlainVideo()
    found = np.stack([small[i] for i in range(len(small))])
    return found.repeat(SCALE, 1).repeat(SCALE, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with clip.mp4 and image.png."""
    folder = tmp_path_factory.mktemp("examples")
    Image.fromarray(frames()[0]).save(folder / "image.png")
    with av.open(str(folder / "clip.mp4"), "w") as file:
        stream: Any = file.add_stream("libx264", rate=10, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *frames().shape[1:3], "yuv420p"
        for frame in frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return folder


@functools.wraps(build.load_engine)
def load_engine(video, **options):
    return Engine(video, PlainInteractor(), PlainStreamPropagator(), "plain")


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_run(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(build, "load_engine", load_engine)
    monkeypatch.setattr(build, "load_interactor", lambda model, **options: MeasuredInteractor())
    monkeypatch.setattr(ivs_jax, "load_engine", load_engine)
    engine = load_engine(ivs_jax.open_video("clip.mp4"))
    scope = {
        **{n: getattr(ivs_jax, n) for n in ivs_jax.__all__},
        "np": np,
        "Image": Image,
        "engine": engine,
        "state": ivs_jax.start(engine),
        "frame": frames()[0],
        "opencv_image": frames()[0][..., ::-1],
    }
    text = inspect.getdoc(PUBLIC[name])
    assert text and ">>>" in text, f"{name} has no example"
    example = doctest.DocTestParser().get_doctest(text, scope, name, None, None)
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


def test_every_public_name_has_been_looked_at():
    assert {"step", "Click", "VideoPredictor.undo", "StreamPredictor.objects"} <= set(PUBLIC)
