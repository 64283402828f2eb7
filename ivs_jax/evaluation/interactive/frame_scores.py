"""J and F of every frame of a session as it changes: only frames that changed are measured anew."""

from collections.abc import Sequence

import numpy as np

from ivs_jax.evaluation.vos.scores import score_frames
from ivs_jax.session import State


class FrameScores:
    """Scores of a session on one sequence.

    Attributes:
      j, f: `[K, T]` float64, of each of the objects on each frame, the first and last too.
    """

    def __init__(self, truth: Sequence[np.ndarray], objects: Sequence[int]) -> None:
        """`truth`: ids `[H, W]` uint8 of every frame. Scores are those of empty masks at first."""
        self._truth, self._objects = truth, tuple(objects)
        self._packed: list[bytes | None] = [None] * len(truth)
        absent = np.array([[not (labels == k).any() for labels in truth] for k in self._objects])
        self.j, self.f = absent.astype(np.float64), absent.astype(np.float64)

    def update(self, state: State) -> None:
        """Takes up the masks of `state`."""
        masks = [state.scene.frames.get(frame) for frame in range(len(self._truth))]
        packed = [None if found is None else found.labels for found in masks]
        changed = [f for f, now in enumerate(packed) if now != self._packed[f]]
        if changed:
            self.j[:, changed], self.f[:, changed] = score_frames(
                lambda frame: self._truth[frame], state.labels, self._objects, changed
            )
        self._packed = packed
