"""Objects in a video: prompts, corrections, propagation."""

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL.Image import Image

from ivs_jax.api.loader import EngineLoader, engine_loader
from ivs_jax.api.prompts import read_mask, read_points, signed_logits
from ivs_jax.interaction import (
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    Redo,
    RemoveObject,
    Scribble,
    Stroke,
    Undo,
)
from ivs_jax.io import Video, encode_rle, open_video
from ivs_jax.session import State, load, save, start, step
from ivs_jax.session.run import first_frame, propagated
from ivs_jax.session.suggest import suggest

Prediction = tuple[int, list[int], np.ndarray]
VideoSource = str | PathLike[str] | Video | np.ndarray | Image | Iterable[np.ndarray | Image]


@dataclass
class VideoState:
    """What `init_state` returns and the other calls change: a session.

    Attributes:
      session: the present state; `ivs_jax.save` writes it, `ivs_jax.step` works on it too.

    >>> from ivs_jax import VideoPredictor
    >>> state = VideoPredictor().init_state("clip.mp4")
    >>> state.session.labels(0).shape  # object ids of frame 0
    (96, 160)
    """

    session: State


class VideoPredictor:
    """Objects in a video: mark them in some frames, correct, propagate. SAM 2's names.

    Object ids are 1..254. `mask_logits` are float32 `[K, 1, H, W]`, one for each object in the
    order of `obj_ids` (ascending), positive exactly where the object is; objects do not overlap.
    A call that does not fit the video or the state raises ValueError and changes nothing.

    Args:
      load_engine: video -> engine; default `ivs_jax.load_engine`.
      options: passed to it, e.g. model="click-small", refine="f-BRS-B". Raises TypeError for one
        that it does not have.

    >>> from ivs_jax import VideoPredictor
    >>> predictor = VideoPredictor()
    >>> state = predictor.init_state("clip.mp4")
    >>> frame_idx, obj_ids, mask_logits = predictor.add_new_points_or_box(
    ...     state, frame_idx=0, obj_id=1, points=[[28, 12]], labels=[1]
    ... )
    >>> for frame_idx, obj_ids, mask_logits in predictor.propagate_in_video(state):
    ...     masks = mask_logits > 0
    >>> frame_idx, obj_ids, masks.shape
    (7, [1], (1, 1, 96, 160))
    """

    def __init__(self, load_engine: EngineLoader | None = None, **options: Any) -> None:
        self._load = engine_loader(load_engine, options, caller="VideoPredictor")

    def init_state(self, video_path: VideoSource) -> VideoState:
        """Opens a video file, a folder of images, an image, or frames in memory.

        Files are read when a frame is needed. Frames in memory are an array `[T, H, W, 3]` uint8
        RGB, a list of arrays, Pillow images, or a generator, which is read to its end; see
        `ivs_jax.open_video`.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> state = predictor.init_state(np.zeros((5, 48, 64, 3), np.uint8))
        >>> state = predictor.init_state(Image.open(name) for name in ["image.png", "image.png"])
        """
        return VideoState(start(self._load(open_video(video_path))))

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: int,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: ArrayLike | None = None,
    ) -> Prediction:
        """Clicks on one object in one frame; an unknown id adds the object.

        Args:
          inference_state: from `init_state`.
          frame_idx: number of the frame, from 0.
          obj_id: 1..254.
          points: `[N, 2]` (x, y).
          labels: `[N]`, 1 object, 0 background, -1 padding.
          clear_old_points: the points given are all there are: earlier ones that they do not begin
            with are taken back first, strokes too. A mask given or propagated there is corrected.
          normalize_coords: points and box are in pixels; False: they are in 0..1 of width and
            height already. (SAM 2's name: the network's input is what it normalises.)
          box: `[4]` x0, y0, x1, y1; becomes clicks, see `ivs_jax.api.box_clicks`.

        Returns (frame_idx, obj_ids, mask_logits).

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _, obj_ids, logits = predictor.add_new_points_or_box(state, 0, 1, [[28, 12]], [1])
        >>> _, obj_ids, logits = predictor.add_new_points_or_box(state, 0, 2, box=[16, 36, 39, 59])
        >>> obj_ids, logits.shape
        ([1, 2], (2, 1, 96, 160))
        """
        session = inference_state.session
        given = read_points(
            points, labels, box, session.engine.video.size, in_pixels=normalize_coords
        )
        if not given:
            raise ValueError("add_new_points_or_box needs a point or a box, got none")
        masks = session.scene.frames.get(frame_idx)
        old = [
            (hint.x, hint.y, hint.label)
            for hint in (masks.hints if masks else ())
            if isinstance(hint, Click) and hint.object == obj_id
        ]
        if clear_old_points and given[: len(old)] == old:
            given = given[len(old) :]
        elif clear_old_points:
            session = step(session, Clear(frame_idx, obj_id))
        for x, y, label in given:
            session = step(session, Click(frame_idx, obj_id, x, y, label))
        inference_state.session = session
        return _prediction(session, frame_idx)

    add_new_points = add_new_points_or_box

    def add_new_scribbles(
        self, inference_state: VideoState, frame_idx: int, strokes: Sequence[tuple[int, Any]]
    ) -> Prediction:
        """Strokes drawn at once in one frame: pairs (obj_id, points `[n, 2]` (x, y) in pixels).

        obj_id 0 is the background; an unknown id adds the object. The objects with a stroke, and
        those whose mask a stroke of another or of the background touches, are segmented anew. The
        order counts where strokes cross: the later one holds. Returns (frame_idx, obj_ids,
        mask_logits).

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> strokes = [(1, [[20, 12], [34, 14]]), (0, [[60, 10], [90, 30]])]
        >>> frame_idx, obj_ids, logits = predictor.add_new_scribbles(state, 0, strokes)
        """
        drawn = tuple(Stroke(number, path) for number, path in strokes)
        return self._do(inference_state, Scribble(frame_idx, drawn), frame_idx)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: int, mask: ArrayLike
    ) -> Prediction:
        """Gives an object's mask `[H, W]` (bool, or > 0) in one frame; replaces its prompts.

        Returns (frame_idx, obj_ids, mask_logits).

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> mask = np.zeros((96, 160), bool)
        >>> mask[4:28, 16:40] = True
        >>> frame_idx, obj_ids, logits = predictor.add_new_mask(state, 0, 1, mask)
        """
        found = read_mask(mask, inference_state.session.engine.video.size)
        return self._do(inference_state, Mask(frame_idx, obj_id, encode_rle(found)), frame_idx)

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Prediction]:
        """Carries the masks on, frame by frame: yields (frame_idx, obj_ids, mask_logits).

        The first one is the start frame itself (default: the first annotated frame). Frames that
        the user marked keep the marked objects exactly. Leave the loop to cancel: what was yielded
        is kept. Raises ValueError if another call changed the state meanwhile.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 4, 1, [[44, 12]], [1])
        >>> [frame_idx for frame_idx, _, _ in predictor.propagate_in_video(state)]
        [4, 5, 6, 7]
        >>> [frame_idx for frame_idx, _, _ in predictor.propagate_in_video(state, reverse=True)]
        [4, 3, 2, 1, 0]
        """
        limit = _limit(max_frame_num_to_track)
        event = Propagate(start_frame_idx, "backward" if reverse else "forward", limit or None)
        session = inference_state.session
        begin = first_frame(session, event)
        yield _prediction(session, begin)
        edge = 0 if reverse else len(session.engine.video) - 1
        if begin != edge and limit != 0:
            yield from _carried(inference_state, session, event)

    def propagate_round(
        self, inference_state: VideoState, frame_idx: int | None = None
    ) -> Iterator[Prediction]:
        """Carries a correction to the nearest frames that were marked before, in both directions.

        On the way it is joined with the masks that were there, by distance, so that frames beyond
        stay as they are (IPN's rounds). Yields (frame_idx, obj_ids, mask_logits), the start first:
        `frame_idx`, default the frame that was marked last. Leave the loop to cancel.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> for frame_idx, obj_ids, logits in predictor.propagate_in_video(state):
        ...     pass
        >>> _ = predictor.add_new_points(state, 5, 1, [[70, 60]], [0])
        >>> sorted(frame_idx for frame_idx, _, _ in predictor.propagate_round(state))
        [1, 2, 3, 4, 5, 6, 7]
        """
        session = inference_state.session
        if frame_idx is None and session.scene.rounds:
            frame_idx = session.scene.rounds[-1]
        event = Propagate(frame_idx, "both", span="round")
        yield _prediction(session, first_frame(session, event))
        yield from _carried(inference_state, session, event)

    def remove_object(
        self,
        inference_state: VideoState,
        obj_id: int,
        strict: bool = False,
        need_output: bool = True,
    ) -> tuple[list[int], list[tuple[int, np.ndarray]]]:
        """Removes an object from every frame.

        Returns the ids left, and (frame_idx, mask_logits) of the frames where it had prompts,
        none with `need_output` False. An unknown id is an error only if `strict`.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> _ = predictor.add_new_points(state, 0, 2, [[28, 44]], [1])
        >>> obj_ids, updated_frames = predictor.remove_object(state, 1)
        >>> obj_ids, [frame_idx for frame_idx, _ in updated_frames]
        ([2], [0])
        """
        session = inference_state.session
        if not strict and obj_id not in session.objects:
            return list(session.objects), []
        prompted = [f for f, masks in session.scene.frames.items() if obj_id in masks.marks]
        inference_state.session = session = step(session, RemoveObject(obj_id))
        frames = sorted(prompted) if need_output else []
        return list(session.objects), [(f, _prediction(session, f)[2]) for f in frames]

    def clear_all_prompts_in_frame(
        self, inference_state: VideoState, frame_idx: int, obj_id: int, need_output: bool = True
    ) -> Prediction | None:
        """Takes back the clicks, strokes and mask of an object in one frame, if there are any.

        Returns (frame_idx, obj_ids, mask_logits), or None with `need_output` False. Raises
        ValueError for an object that does not exist.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> frame_idx, obj_ids, logits = predictor.clear_all_prompts_in_frame(state, 0, 1)
        >>> bool((logits > 0).any())
        False
        """
        session = inference_state.session
        if obj_id not in session.objects:
            raise ValueError(
                f"no object {obj_id!r}, objects are {list(session.objects) or 'none yet'}"
            )
        found = _prediction(session, frame_idx)
        masks = session.scene.frames.get(frame_idx)
        if masks is not None and obj_id in masks.marks:
            found = self._do(inference_state, Clear(frame_idx, obj_id), frame_idx)
        return found if need_output else None

    def reset_state(self, inference_state: VideoState) -> None:
        """Forgets everything that was done; video and networks stay open.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> predictor.reset_state(state)
        >>> state.session.objects
        ()
        """
        inference_state.session = start(inference_state.session.engine)

    def undo(self, inference_state: VideoState) -> list[int]:
        """Takes back the last change, a click or a whole propagation; returns the ids of objects.

        Computes nothing. Raises ValueError if there is nothing to take back.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> predictor.undo(state)
        []
        """
        inference_state.session = step(inference_state.session, Undo())
        return list(inference_state.session.objects)

    def redo(self, inference_state: VideoState) -> list[int]:
        """Brings back what `undo` took, while nothing else was done since; returns the ids.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> predictor.undo(state), predictor.redo(state)
        ([], [1])
        """
        inference_state.session = step(inference_state.session, Redo())
        return list(inference_state.session.objects)

    def suggest(self, inference_state: VideoState, count: int = 1) -> list[int]:
        """Up to `count` frames to look at next, the one first where a correction helps most.

        See `ivs_jax.suggest`.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> for frame_idx, obj_ids, logits in predictor.propagate_in_video(state):
        ...     pass
        >>> len(predictor.suggest(state, count=2))
        2
        """
        return suggest(inference_state.session, count)

    def save(self, inference_state: VideoState, path: str | PathLike[str]) -> None:
        """Writes everything that was done as JSON; `load_state` does it again.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> predictor.save(state, "session.json")
        """
        save(inference_state.session, Path(path))

    def load_state(self, video: VideoSource, path: str | PathLike[str]) -> VideoState:
        """The saved session of a video, by doing everything again; undo and redo go on from there.

        `video` as for `init_state`; it may have moved. Raises ValueError if the file was made with
        another video or other networks.

        >>> predictor = VideoPredictor()
        >>> state = predictor.init_state("clip.mp4")
        >>> _ = predictor.add_new_points(state, 0, 1, [[28, 12]], [1])
        >>> predictor.save(state, "session.json")
        >>> VideoPredictor().load_state("clip.mp4", "session.json").session == state.session
        True
        """
        return VideoState(load(Path(path), self._load(open_video(video))))

    def _do(self, inference_state: VideoState, event: Event, frame: int) -> Prediction:
        inference_state.session = step(inference_state.session, event)
        return _prediction(inference_state.session, frame)


def _limit(max_frame_num_to_track: Any) -> int | None:
    """A number of frames, or None for all."""
    if max_frame_num_to_track is None:
        return None
    try:
        limit = operator.index(max_frame_num_to_track)
    except TypeError:
        limit = -1
    if limit < 0:
        raise ValueError(
            "max_frame_num_to_track must be a whole number of frames, at least 0, or None, got "
            f"{max_frame_num_to_track!r}"
        )
    return limit


def _carried(inference_state: VideoState, session: State, event: Propagate) -> Iterator[Prediction]:
    """Runs a propagation and keeps the state up to date, frame by frame."""
    for advance in propagated(session, event):
        if inference_state.session is not session:
            raise ValueError("the state was changed while masks were propagated; run it again")
        inference_state.session = session = advance.state
        yield _prediction(session, advance.frame)


def _prediction(session: State, frame: int) -> Prediction:
    """(frame, ids, logits `[K, 1, H, W]`) of the masks as they are."""
    if not 0 <= frame < len(session.engine.video):
        raise ValueError(f"frame {frame} is outside the video, {len(session.engine.video)} frames")
    labels = session.labels(frame)
    logits = np.empty((len(session.objects), 1, *labels.shape), np.float32)
    for row, number in zip(logits, session.objects, strict=True):
        row[0] = signed_logits(labels == number, session.probability(frame, number))
    return frame, list(session.objects), logits
