"""Objects in a video: marks, corrections, propagation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ivs_jax.api.prompts import EngineLoader, default_loader, read_points, signed_logits
from ivs_jax.interaction import (
    Clear,
    Click,
    Event,
    Mask,
    Propagate,
    RemoveObject,
    Scribble,
    Stroke,
)
from ivs_jax.io import encode_rle, open_video
from ivs_jax.session import State, start, step
from ivs_jax.session.run import first_frame, propagated

Prediction = tuple[int, list[int], np.ndarray]


@dataclass
class VideoState:
    """What `init_state` returns and the other calls change: a session.

    Attributes:
      session: the present state; `ivs_jax.session.save` writes it, `step` works on it too.
    """

    session: State


class VideoPredictor:
    """Objects in a video: mark them in some frames, correct, propagate.

    Object ids are 1..254. `mask_logits` are float32 `[K, 1, H, W]`, one for each object in the
    order of `obj_ids` (ascending), positive exactly where the object is; objects do not overlap.

    Args:
      load_engine: video -> engine; default `ivs_jax.session.build.load_engine`.
      options: passed to it, e.g. model="click-small", refine="f-BRS-B".
    """

    def __init__(self, load_engine: EngineLoader | None = None, **options: Any) -> None:
        self._load = load_engine or default_loader()
        self._options = options

    def init_state(self, video_path: str | Path) -> VideoState:
        """Opens a video file, a folder of images or an image; frames are read when needed."""
        return VideoState(start(self._load(open_video(video_path), **self._options)))

    def add_new_points_or_box(
        self,
        state: VideoState,
        frame_idx: int,
        obj_id: int,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        clear_old_points: bool = True,
        box: ArrayLike | None = None,
    ) -> Prediction:
        """Clicks on one object in one frame; an unknown id adds the object.

        With `clear_old_points` the points given are all there are: earlier ones that they do not
        begin with are taken back first, strokes too. A mask given or propagated there is corrected
        by them.
        Returns (frame_idx, obj_ids, mask_logits). Raises ValueError and changes nothing if a
        point does not fit.
        """
        session = state.session
        given = read_points(points, labels, box, session.engine.video.size)
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
        state.session = session
        return _prediction(session, frame_idx)

    add_new_points = add_new_points_or_box

    def add_new_scribbles(
        self, state: VideoState, frame_idx: int, strokes: Sequence[tuple[int, Any]]
    ) -> Prediction:
        """Strokes drawn at once in one frame: pairs (obj_id, points `[n, 2]` (x, y) in pixels).

        obj_id 0 is the background; an unknown id adds the object. The objects with a stroke, and
        those whose mask a stroke of another or of the background touches, are segmented anew. The
        order counts where strokes cross: the later one holds. Returns (frame_idx, obj_ids,
        mask_logits).
        """
        drawn = tuple(Stroke(number, path) for number, path in strokes)
        return self._do(state, Scribble(frame_idx, drawn), frame_idx)

    def add_new_mask(
        self, state: VideoState, frame_idx: int, obj_id: int, mask: ArrayLike
    ) -> Prediction:
        """Gives an object's mask `[H, W]` (bool, or > 0) in one frame; replaces its hints."""
        mask = np.asarray(mask)
        if mask.ndim != 2:
            raise ValueError(f"mask is {list(mask.shape)}, expected [H, W]")
        return self._do(state, Mask(frame_idx, obj_id, encode_rle(mask > 0)), frame_idx)

    def propagate_in_video(
        self,
        state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Prediction]:
        """Carries the masks on, frame by frame: yields (frame_idx, obj_ids, mask_logits).

        The first one is the start frame itself (default: the first annotated frame). Frames the
        user marked keep the marked objects exactly. Leave the loop to cancel: what was yielded is
        kept. Raises ValueError if another call changed `state` meanwhile.
        """
        session = state.session
        limit = None if max_frame_num_to_track is None else max(max_frame_num_to_track, 1)
        event = Propagate(start_frame_idx, "backward" if reverse else "forward", limit)
        begin = first_frame(session, event)
        yield _prediction(session, begin)
        edge = 0 if reverse else len(session.engine.video) - 1
        if begin == edge or max_frame_num_to_track == 0:
            return
        for advance in propagated(session, event):
            if state.session is not session:
                raise ValueError("the state was changed while propagate_in_video ran; run it again")
            state.session = session = advance.state
            yield _prediction(session, advance.frame)

    def remove_object(self, state: VideoState, obj_id: int, strict: bool = False) -> list[int]:
        """Removes an object from every frame; returns the ids left.

        An unknown id is an error only if `strict`.
        """
        if strict or obj_id in state.session.objects:
            state.session = step(state.session, RemoveObject(obj_id))
        return list(state.session.objects)

    def clear_all_prompts_in_frame(
        self, state: VideoState, frame_idx: int, obj_id: int
    ) -> Prediction:
        """Takes back the clicks and the mask of an object in one frame, if there are any."""
        masks = state.session.scene.frames.get(frame_idx)
        if masks is not None and obj_id in masks.marks:
            return self._do(state, Clear(frame_idx, obj_id), frame_idx)
        return _prediction(state.session, frame_idx)

    def reset_state(self, state: VideoState) -> None:
        """Forgets everything that was done; video and networks stay open."""
        state.session = start(state.session.engine)

    def _do(self, state: VideoState, event: Event, frame: int) -> Prediction:
        state.session = step(state.session, event)
        return _prediction(state.session, frame)


def _prediction(session: State, frame: int) -> Prediction:
    """(frame, ids, logits `[K, 1, H, W]`) of the masks as they are."""
    if not 0 <= frame < len(session.engine.video):
        raise ValueError(f"frame {frame} is outside the video, {len(session.engine.video)} frames")
    labels = session.labels(frame)
    logits = np.empty((len(session.objects), 1, *labels.shape), np.float32)
    for row, number in zip(logits, session.objects, strict=True):
        row[0] = signed_logits(labels == number, session.probability(frame, number))
    return frame, list(session.objects), logits
