"""Masks of frames that come one by one and never end: cameras."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ivs_jax.api.loader import EngineLoader, engine_loader
from ivs_jax.api.prompts import read_frame, read_label_mask
from ivs_jax.interaction import Click, Mask
from ivs_jax.io import encode_rle, pack_labels, pack_probability, unpack_labels, unpack_probability
from ivs_jax.session import Engine, FrameMasks, Scene, State, Still, Stream, StreamPropagator, step
from ivs_jax.session.hints import PromptMaps
from ivs_jax.session.merge import compose, most_probable
from ivs_jax.types import Annotation

StreamClick = tuple[int, float, float, int]


class StreamPredictor:
    """One frame in, one mask out, as Cutie's `InferenceCore`: memory is bounded, whatever comes.

    Masks or clicks may come with any frame and add objects or correct them. Masks are the same as
    those of `VideoPredictor` for the same frames, but a frame knows nothing of annotations that
    come after it, and no mask is kept. Object ids are 1..254.

    Args:
      load_engine: video -> engine; default `ivs_jax.load_engine`.
      options: passed to it, e.g. propagation="stm-small". Raises TypeError for one that it does not
        have.

    >>> from ivs_jax import StreamPredictor, open_video
    >>> predictor = StreamPredictor()
    >>> for number, frame in enumerate(open_video("clip.mp4")):
    ...     if number == 0:
    ...         labels = predictor.step(frame, clicks=[(1, 28, 12, 1)])
    ...     else:
    ...         labels = predictor.step(frame)
    >>> labels.shape, labels.dtype, np.unique(labels).tolist()
    ((96, 160), dtype('uint8'), [0, 1])
    """

    def __init__(self, load_engine: EngineLoader | None = None, **options: Any) -> None:
        self._load = engine_loader(load_engine, options, caller="StreamPredictor")
        self._engine: Engine | None = None
        self._stream: Stream | None = None
        self._size: tuple[int, int] | None = None

    @property
    def objects(self) -> list[int]:
        """Ids of the objects that are followed, ascending.

        >>> StreamPredictor().objects
        []
        """
        return [] if self._stream is None else sorted(self._stream.objects)

    def step(
        self,
        image: ArrayLike,
        mask: ArrayLike | None = None,
        objects: Sequence[int] | None = None,
        *,
        clicks: Sequence[StreamClick] | None = None,
    ) -> np.ndarray:
        """The next frame.

        Args:
          image: uint8 `[H, W, 3]` RGB, all of one size.
          mask: object ids `[H, W]`, whole numbers, 0 = background or another object; or bool for
            one object. Its objects are annotated on this frame and their memory stays for good.
          objects: the ids that `mask` is about, default those in it. One of them that is not in it
            is not on the frame. Ignored without a mask.
          clicks: (object id, x, y, label) each, in pixels, label 1 = object, 0 = background; after
            `mask`, if there is one.

        Returns:
          object ids `[H, W]` uint8, 0 = background; all 0 before anything was annotated.

        >>> predictor = StreamPredictor()
        >>> video = open_video("clip.mp4")
        >>> first = np.zeros((96, 160), np.uint8)
        >>> first[4:28, 16:40] = 1
        >>> labels = predictor.step(video[0], first, objects=[1])
        >>> labels = predictor.step(video[1])
        >>> labels = predictor.step(video[2], clicks=[(2, 36, 44, 1)])  # one more object
        >>> predictor.objects
        [1, 2]
        """
        pixels = read_frame(image)
        engine, stream = self._begun(pixels)
        marked = self._marked(engine, stream, pixels, mask, objects, clicks)
        annotation = None if marked is None else _annotation(marked)
        self._stream, found = stream.step(pixels, annotation)
        self._size = (pixels.shape[0], pixels.shape[1])
        labels = most_probable(found, self._stream.objects, fixed=marked.marks if marked else ())
        if marked is None:
            return labels
        masks = {k: unpack_probability(mark.probability) for k, mark in marked.marks.items()}
        return compose(masks, PromptMaps(marked.hints, self._size), labels)

    def delete_objects(self, objects: Collection[int]) -> None:
        """Forgets some objects; the ids may be used again.

        >>> predictor = StreamPredictor()
        >>> labels = predictor.step(frame, clicks=[(1, 28, 12, 1), (2, 28, 44, 1)])
        >>> predictor.delete_objects([1])
        >>> predictor.objects
        [2]
        """
        unknown = [number for number in objects if number not in self.objects]
        if unknown:
            raise ValueError(f"no object {unknown[0]!r}, objects are {self.objects or 'none yet'}")
        if self._stream is not None:
            self._stream = self._stream.without(objects)

    def clear_memory(self) -> None:
        """Forgets everything, objects too: the next frame may be of another video and size.

        Networks stay loaded.

        >>> predictor = StreamPredictor()
        >>> labels = predictor.step(frame, clicks=[(1, 28, 12, 1)])
        >>> predictor.clear_memory()
        >>> predictor.objects
        []
        """
        self._stream = self._size = None

    def clear_non_permanent_memory(self) -> None:
        """Forgets all frames but those with a mask or clicks, e.g. where the scene changes.

        >>> predictor = StreamPredictor()
        >>> labels = predictor.step(frame, clicks=[(1, 28, 12, 1)])
        >>> labels = predictor.step(frame)
        >>> predictor.clear_non_permanent_memory()
        >>> predictor.objects
        [1]
        """
        if self._stream is not None:
            self._stream = self._stream.annotated_only()

    def _begun(self, image: np.ndarray) -> tuple[Engine, Stream]:
        """The engine, loaded at the first frame, and the stream, begun there."""
        size = (image.shape[0], image.shape[1])
        if self._size not in (None, size):
            raise ValueError(
                f"image is {list(size)} (H, W), the frames before were {list(self._size or ())}: "
                "call clear_memory before another video"
            )
        engine = self._engine = self._engine or self._load(Still(image))
        if self._stream is not None:
            return engine, self._stream
        if not isinstance(engine.propagator, StreamPropagator):
            raise ValueError(
                f"the propagation network of {engine.name} cannot follow a stream, expected one "
                "with a space-time memory: propagation='stm-small'"
            )
        return engine, engine.propagator.stream(size)

    def _marked(
        self,
        engine: Engine,
        stream: Stream,
        image: np.ndarray,
        mask: ArrayLike | None,
        objects: Sequence[int] | None,
        clicks: Sequence[StreamClick] | None,
    ) -> FrameMasks | None:
        """What mask and clicks make of the frame: a session of one frame. None without them."""
        size = (image.shape[0], image.shape[1])
        events: list[Mask | Click] = []
        if mask is not None:
            given = read_label_mask(mask, objects, size)
            events += [Mask(0, number, encode_rle(where)) for number, where in given.items()]
        events += [_click(click) for click in clicks or ()]
        if not events:
            return None
        state = State(replace(engine, video=Still(image)))
        if clicks and stream.objects:  # clicks correct the mask that the frame would have
            probabilities = stream.step(image)[1]
            state = replace(state, scene=_scene(probabilities, stream.objects))
        for event in events:
            state = step(state, event)
        return state.scene.frames[0]


def _click(click: Any) -> Click:
    try:
        number, x, y, label = click
    except (TypeError, ValueError):
        raise ValueError(f"clicks must be (object id, x, y, label) each, got {click!r}") from None
    return Click(0, number, x, y, label)


def _scene(probabilities: np.ndarray, objects: tuple[int, ...]) -> Scene:
    """A frame as a session has it after propagation."""
    labels = pack_labels(most_probable(probabilities, objects))
    soft = {k: pack_probability(probabilities[..., i]) for i, k in enumerate(objects, 1)}
    masks = FrameMasks(labels, propagated=labels, reached=tuple(sorted(objects)), soft=soft)
    return Scene(dict.fromkeys(objects, ""), {0: masks})


def _annotation(masks: FrameMasks) -> Annotation:
    """The marked objects of a frame and nothing else."""
    labels, known = unpack_labels(masks.labels), tuple(sorted(masks.marks))
    return Annotation(np.where(np.isin(labels, known), labels, 0).astype(np.uint8), known)
