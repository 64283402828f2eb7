"""An engine without networks, for tests of what stands on the session: colours are objects.

The interactor floods the colour under a positive click; the propagator gives every pixel to the
object whose colour, learnt from the annotations, is nearest. Both are exact and deterministic.
"""

import numpy as np
from scipy import ndimage

from ivs_jax.session.engine import Engine
from ivs_jax.types import Interaction

COLOURS = np.array([[20, 20, 20], [220, 40, 40], [40, 220, 40], [60, 60, 230]], np.float32)


class PlainVideo:
    """Squares of three colours that move to the right one pixel a frame, `[H, W, 3]` uint8."""

    def __init__(self, count=8, size=(24, 40), path="clip.mp4"):
        self.size, self.path, self.fps, self.count = size, path, None, count
        self.names = [f"{i:05d}" for i in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return COLOURS[self.truth(index)].astype(np.uint8)

    def truth(self, index):
        """Ids `[H, W]` of the colours: 1 red, 2 green, 3 blue."""
        labels = np.zeros(self.size, np.uint8)
        for i, top in ((1, 1), (2, 9), (3, 17)):
            labels[top : top + 6, 4 + index % 20 : 10 + index % 20] = i
        return labels

    def close(self):
        pass


class PlainInteractor:
    """The component of like colour under each positive click, without those of negative ones."""

    def __init__(self):
        self.calls = []

    def predict(self, image, clicks, previous, *, scribbles=None):
        real = clicks.label >= 0
        xy, label = np.asarray(clicks.xy)[real], np.asarray(clicks.label)[real]
        self.calls.append((len(xy), previous))
        p = np.full(image.shape[:2], 0.1, np.float32)
        if previous is not None:
            p = np.maximum(p, previous * np.float32(0.8))
        for (x, y), positive in zip(xy, label, strict=True):
            row, column = int(y + 0.5), int(x + 0.5)
            like = np.abs(image.astype(int) - image[row, column]).sum(-1) < 30
            component, _ = ndimage.label(like)
            p[component == component[row, column]] = 0.9 if positive else 0.05
        rows, columns = (xy[:, 1] + 0.5).astype(int), (xy[:, 0] + 0.5).astype(int)
        satisfied = (p[rows, columns] > 0.5) == (label == 1)
        return Interaction(p, 3, 0.5, satisfied, {"encode": 0.25, "refine": 0.5})


class MeasuredInteractor(PlainInteractor):
    """With what a NoC run asks of an interactor."""

    name, refine, config, threshold, fingerprint = "plain", "NoBRS", None, 0.5, "plain"


class PlainPropagator:
    """Nearest colour; counts the frames it was asked for and whether it was closed."""

    def __init__(self):
        self.visited, self.closed, self.calls, self.previous = [], 0, [], []

    def propagate(self, video, annotations, objects, frames, *, start, previous=None):
        self.calls.append((dict(annotations), objects, tuple(frames), start))
        self.previous.append(None if previous is None else dict(previous))
        means = [COLOURS[0]]
        for number in objects:
            pixels = [
                video[f][known.labels == number].astype(np.float32)
                for f, known in annotations.items()
                if number in known.objects
            ]
            own = np.concatenate(pixels)
            means.append(own.mean(0) if len(own) else np.full(3, 1e4, np.float32))
        try:
            for frame in frames:
                self.visited.append(frame)
                distance = np.abs(video[frame][..., None, :] - np.stack(means)).sum(-1)
                scores = np.exp(-distance / 50).astype(np.float32)
                yield frame, scores / scores.sum(-1, keepdims=True)
        finally:
            self.closed += 1


class PlainStream:
    """Colours of the objects, learnt from annotations; counts the frames seen since."""

    def __init__(self, objects=(), colours=(), frames=0):
        self.objects, self.colours, self.frames = tuple(objects), tuple(colours), frames

    def step(self, image, annotation=None):
        after = self if annotation is None else self._learnt(image, annotation)
        means = np.stack([COLOURS[0], *after.colours])
        distance = np.abs(image[..., None, :] - means).sum(-1)
        scores = np.exp(-distance / 50).astype(np.float32)
        found = scores / scores.sum(-1, keepdims=True)
        return PlainStream(after.objects, after.colours, after.frames + 1), found

    def without(self, objects):
        left = [i for i, number in enumerate(self.objects) if number not in objects]
        return PlainStream(
            (self.objects[i] for i in left), (self.colours[i] for i in left), self.frames
        )

    def annotated_only(self):
        return PlainStream(self.objects, self.colours)

    def _learnt(self, image, annotation):
        known = dict(zip(self.objects, self.colours, strict=True))
        for number in annotation.objects:
            own = image[annotation.labels == number].astype(np.float32)
            known[number] = own.mean(0) if len(own) else np.full(3, 1e4, np.float32)
        return PlainStream(known, known.values(), self.frames)


class PlainStreamPropagator(PlainPropagator):
    """With the door for streams."""

    def stream(self, size):
        return PlainStream()


def plain_engine(count=8, size=(24, 40), name="plain"):
    return Engine(PlainVideo(count, size), PlainInteractor(), PlainPropagator(), name)
