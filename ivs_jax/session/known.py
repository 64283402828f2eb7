"""What a propagator may rely on (see `engine.Propagator`), decoded at each access."""

from collections.abc import Iterator, Mapping

import numpy as np

from ivs_jax.io import unpack_labels, unpack_probability
from ivs_jax.session.hints import PromptMaps
from ivs_jax.session.state import State
from ivs_jax.types import Annotation


class Annotations(Mapping[int, Annotation]):
    """Frames that the user marked in the order of rounds, then the start frame `begin`."""

    def __init__(self, state: State, begin: int):
        self._state = state
        frames = state.scene.frames
        self._known = {f: tuple(sorted(frames[f].marks)) for f in state.scene.rounds if f != begin}
        self._known[begin] = tuple(state.provenance(begin))

    def objects(self) -> tuple[int, ...]:
        """Ids that are in some annotation, ascending."""
        return tuple(sorted({number for known in self._known.values() for number in known}))

    def __getitem__(self, frame: int) -> Annotation:
        known, masks = self._known[frame], self._state.scene.frames[frame]
        labels = unpack_labels(masks.labels)
        marked = np.where(np.isin(labels, known), labels, 0).astype(np.uint8)
        maps = PromptMaps(masks.hints, self._state.engine.video.size)
        return Annotation(marked, known, maps.stroke_labels)

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Earlier(Mapping[int, np.ndarray]):
    """What earlier rounds said on the frames they reached: `[H, W, K + 1]`, background first."""

    def __init__(self, state: State, objects: tuple[int, ...]):
        self._objects, self._size = objects, state.engine.video.size
        self._reached = {f: masks for f, masks in state.scene.frames.items() if masks.soft}

    def __getitem__(self, frame: int) -> np.ndarray:
        masks = self._reached[frame]
        packed = dict(masks.soft) | {k: mark.probability for k, mark in masks.marks.items()}
        none = np.zeros(self._size, np.float32)
        found = [unpack_probability(packed[k]) if k in packed else none for k in self._objects]
        return np.stack([np.clip(1 - np.sum(found, 0), 0, 1), *found], -1)

    def __iter__(self) -> Iterator[int]:
        return iter(self._reached)

    def __len__(self) -> int:
        return len(self._reached)
