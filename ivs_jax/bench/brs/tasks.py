"""What `ivs bench brs` refines: clicks on real images that a network has not obeyed yet.

With a data set the robot clicks, without refinement, until the network leaves a click unsatisfied
(from the second click on, `MAX_CLICKS` at most). Without one, the first frame of the demo's clip
gets some of the demo's clicks and two at random, of which one contradicts the mask.
"""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from ivs_jax.data.demo_clip import write_demo_clip
from ivs_jax.evaluation.click_dataset import ClickSample, open_click_dataset
from ivs_jax.interaction.robot import next_click
from ivs_jax.interaction.zoom import into_window, zoom_window
from ivs_jax.io import open_video
from ivs_jax.ops.padding import pad_below, padded_sides
from ivs_jax.refine.config import NO_REFINEMENT
from ivs_jax.session.click import FRAME_MULTIPLE, ClickInteractor
from ivs_jax.session.window import cut_window
from ivs_jax.types import Clicks, make_clicks

MAX_CLICKS = 10
CAPACITY = 16
DRAWS = 10
BESIDE = 8  # pixels between the two clicks on the demo
DEMO = "demo clip"


class Task(NamedTuple):
    """One click to refine, as the network sees it.

    Attributes:
      name: of the object.
      size: (height, width) of the image, of which `box` is the window (`interaction.zoom`).
      window: `[S, S, 3]` float32 in [0, 1].
      previous: `[S, S]` float32, probability before the click.
      clicks: in pixels of the window.
    """

    name: str
    size: tuple[int, int]
    box: np.ndarray
    window: Array
    previous: Array
    clicks: Clicks

    @property
    def inputs(self) -> tuple[Array, Array, Clicks]:
        """`window`, `previous` and `clicks`, what a click brings to the network."""
        return self.window, self.previous, self.clicks

    @property
    def sides(self) -> tuple[int, int]:
        """`size` padded, so that few programs are compiled."""
        return padded_sides(*self.size, FRAME_MULTIPLE)


def make_tasks(net: Any, variables: Any, *, data: Path | None, objects: int) -> list[Task]:
    """Up to `objects` tasks from the click data set in `data`, or from the demo's clip.

    Raises ValueError if `objects` is below 1 or the folder has nothing to click.
    """
    if objects < 1:
        raise ValueError(f"objects must be at least 1, found {objects}")
    robot = _Robot(net, variables)
    if data is None:
        image, points = _demo_frame()
        return [robot.contradict(image, points, seed) for seed in range(objects)]
    found = (robot.click(sample) for sample in _readable(open_click_dataset(data)))
    tasks = list(islice((task for task in found if task is not None), objects))
    if not tasks:
        raise ValueError(f"{data}: no object that takes two clicks")
    return tasks


def _readable(dataset: Sequence[ClickSample]) -> Iterator[ClickSample]:
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ValueError:  # a file that cannot be read: a benchmark of speed needs no list of them
            continue
        if sample.mask.shape == sample.image.shape[:2]:
            yield sample


def _demo_frame() -> tuple[np.ndarray, tuple[tuple[float, float], ...]]:
    """First frame of the clip `[H, W, 3]` uint8, and clicks on the object in it."""
    with tempfile.TemporaryDirectory() as folder:
        clip = write_demo_clip(Path(folder) / "clip.mp4", frames=2)
        with open_video(clip.path) as video:
            return np.array(video[0]), clip.points


class _Robot:
    """Clicks with the network's own masks, unrefined."""

    def __init__(self, net: Any, variables: Any) -> None:
        self._interactor = ClickInteractor(net, variables, refine=NO_REFINEMENT)
        self._side = net.config.input_size
        self._cut = jax.jit(cut_window, static_argnames="side")

    def click(self, sample: ClickSample) -> Task | None:
        """The first click from the second on that the network does not obey, else the last one."""
        points: list[tuple[int, int, int]] = []
        probability, before = None, None
        while len(points) < MAX_CLICKS:
            mask = np.zeros(sample.mask.shape, bool)
            if probability is not None:
                mask = probability > self._interactor.threshold
            point = next_click(sample.mask, mask, ignore=sample.ignore, clicked=points)
            if point is None:
                break
            points.append(point)
            before = probability
            answer = self._interactor.predict(sample.image, _clicks(points), before)
            if len(points) > 1 and not answer.satisfied.all():
                break
            probability = answer.probability
        if len(points) < 2:
            return None
        return self._task(sample.name, sample.image, points, before)

    def contradict(
        self, image: np.ndarray, points: Sequence[tuple[float, float]], seed: int
    ) -> Task:
        """Some of the clicks `points` on the object, then a random place changed, and only that.

        One click says the opposite of the mask, one beside it confirms the mask. They are drawn
        anew until the network does not obey them, `DRAWS` times at most.
        """
        rng = np.random.default_rng(seed)
        marks = [(*point, 1) for point in points[: 1 + seed % len(points)]]
        before = self._interactor.predict(image, _clicks(marks), None).probability
        mask = before > self._interactor.threshold
        inner = mask[:, BESIDE:] == mask[:, :-BESIDE]  # both clicks on the same side of the border
        rows, columns = np.nonzero(inner)
        for at in rng.integers(len(rows), size=DRAWS):
            x, y = int(columns[at]), int(rows[at])
            label = int(mask[y, x])
            asked = [*marks, (x + BESIDE, y, label), (x, y, 1 - label)]
            if not self._interactor.predict(image, _clicks(asked), before).satisfied.all():
                break
        return self._task(f"{DEMO} {seed}", image, asked, before)

    def _task(
        self,
        name: str,
        image: np.ndarray,
        points: Sequence[Sequence[float]],
        previous: np.ndarray | None,
    ) -> Task:
        size, clicks = (image.shape[0], image.shape[1]), _clicks(points)
        box = zoom_window(size, clicks, previous, threshold=self._interactor.threshold)
        mask = np.zeros(size, np.float32) if previous is None else previous
        window, before = self._cut(_padded(image), _padded(mask[..., None]), box, side=self._side)
        return Task(name, size, box, window, before, into_window(clicks, box, self._side))


def _clicks(points: Sequence[Sequence[float]]) -> Clicks:
    return make_clicks([p[:2] for p in points], [int(p[2]) for p in points], capacity=CAPACITY)


def _padded(x: np.ndarray) -> np.ndarray:
    """Few shapes of images, so that few programs are compiled."""
    return pad_below(x, padded_sides(x.shape[0], x.shape[1], FRAME_MULTIPLE))
