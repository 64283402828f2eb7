"""A scene for rounds: colours that walk, followed no farther than two frames from a marked one."""

import numpy as np
from PIL import Image

from ivs_jax.evaluation.interactive.user import Task, run_sample
from ivs_jax.io.frames import open_video
from ivs_jax.session import Engine
from tests.plain_engine import PlainInteractor, PlainPropagator, PlainVideo

COUNT, REACH = 12, 2


class Pills(PlainVideo):
    """Three lying pills of the colours, so wide that strokes of the robot stay well inside."""

    def __init__(self, count=COUNT):
        super().__init__(count, (48, 60))

    def truth(self, index):
        rows, columns = np.mgrid[:48, :60]
        labels = np.zeros(self.size, np.uint8)
        for number, middle in ((1, 7), (2, 23), (3, 39)):
            aside = np.maximum(np.abs(columns - 20 - index) - 8, 0)
            labels[(rows - middle) ** 2 + aside**2 <= 30] = number
        return labels


VIDEO = Pills()


class ShortSighted(PlainPropagator):
    """Says background on frames that are too far from every marked one."""

    def propagate(self, video, annotations, objects, frames, **options):
        known = list(annotations)
        for frame, p in super().propagate(video, annotations, objects, frames, **options):
            if min(abs(frame - other) for other in known) > REACH:
                p = np.zeros_like(p)
                p[..., 0] = 1
            yield frame, p


class Clock:
    """Time that only the engine spends: a second a prediction, two a propagated frame."""

    def __init__(self):
        self.now = 0.0

    def engine(self, video):
        clock = self

        class Interactor(PlainInteractor):
            def predict(self, *args, **options):
                clock.now += 1
                return super().predict(*args, **options)

        class Propagator(ShortSighted):
            def propagate(self, *args, **options):
                for answer in super().propagate(*args, **options):
                    clock.now += 2
                    yield answer

        return Engine(video, Interactor(), Propagator(), "timed")


def load_engine(folder):
    return Engine(open_video(folder), PlainInteractor(), ShortSighted(), "plain")


def red(labels, frame):
    return (labels == 1).astype(np.uint8)


def two(labels, frame):
    return np.where(labels <= 2, labels, 0).astype(np.uint8)


def none(labels, frame):
    return labels * 0


def write_tree(root, sequences):
    """`sequences`: name -> function of (ids of the colours, frame) that makes the annotation."""
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("\n".join(sequences) + "\n")
    for name, change in sequences.items():
        frames, masks = (root / part / "480p" / name for part in ("JPEGImages", "Annotations"))
        frames.mkdir(parents=True)
        masks.mkdir(parents=True)
        for i in range(COUNT):
            Image.fromarray(VIDEO[i]).save(frames / f"{i:05d}.png")
            ids = Image.fromarray(change(VIDEO.truth(i), i))
            ids.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
            ids.save(masks / f"{i:05d}.png")
    return root


def task(change=red, count=COUNT, **options):
    truth = tuple(change(VIDEO.truth(i), i) for i in range(count))
    objects = tuple(int(k) for k in np.unique(truth) if k)
    return Task("walk", "robot", truth, objects, **options)


def plain_engine(count=COUNT):
    return Engine(Pills(count), PlainInteractor(), ShortSighted(), "plain")


def plain(protocol, a_task=None, engine=None):
    """Runs one sample without files."""
    return run_sample(engine or plain_engine(), a_task or task(), protocol)
