"""The state of a session: frozen records, shared between one state and the next.

Masks are kept packed (`io.pack`), some kilobytes a frame, so that a long video costs little.
Mappings in these records are never changed after they are built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ivs_jax.interaction.events import Click, Event, Scribble
from ivs_jax.interaction.strokes import NOTHING
from ivs_jax.io import unpack_labels, unpack_probability
from ivs_jax.session.engine import Engine
from ivs_jax.session.hints import PromptMaps

Provenance = Literal["user", "corrected", "propagated"]


@dataclass(frozen=True)
class Mark:
    """What the user fixed for one object on one frame.

    Attributes:
      probability: packed `[H, W]` float32 in [0, 1] (`io.pack_probability`).
      source: "user", or "corrected" if it began as clicks on a propagated mask.
      satisfied: per click of this object on this frame in order: does `probability` agree?
        Empty for a given mask.
    """

    probability: bytes
    source: Provenance
    satisfied: tuple[bool, ...] = ()


@dataclass(frozen=True)
class FrameMasks:
    """One frame that has masks. `labels` always equals `merge.compose` of the other fields.

    Attributes:
      labels: packed `[H, W]` uint8 object ids (`io.pack_labels`), 0 = background.
      marks: object id -> its mark, the one marked last at the end.
      hints: every click and scribble on this frame that counts, of all objects, in order.
      propagated: packed `[H, W]` uint8, what propagation said; None = it was not here.
      reached: ids that propagation segmented here, ascending.
      soft: id -> packed probability `[H, W]` that propagation gave the object here, joined over
        rounds; of the ids in `reached`.
      reliability: of what propagation said, in [0, 1], see `session.reliability`.
    """

    labels: bytes
    marks: Mapping[int, Mark] = field(default_factory=dict)
    hints: tuple[Click | Scribble, ...] = ()
    propagated: bytes | None = None
    reached: tuple[int, ...] = ()
    soft: Mapping[int, bytes] = field(default_factory=dict)
    reliability: float = 1.0

    def provenance(self) -> dict[int, Provenance]:
        """Object id -> where its mask on this frame comes from, ascending ids."""
        found: dict[int, Provenance] = dict.fromkeys(self.reached, "propagated")
        found |= {number: mark.source for number, mark in self.marks.items()}
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Scene:
    """What the user sees; undo and redo exchange whole scenes.

    Attributes:
      objects: object id -> name ("" if none).
      frames: frame number -> its masks; frames without masks are absent.
      rounds: frames that the user marked, the one marked last at the end.
    """

    objects: Mapping[int, str] = field(default_factory=dict)
    frames: Mapping[int, FrameMasks] = field(default_factory=dict)
    rounds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Statistics:
    """What the work of this process cost; undo does not take it back.

    Attributes:
      evaluations: network evaluations that refinement used.
      propagated: frames that propagation computed.
      seconds: wall time by phase: "compile", "encode", "refine", "propagate", ...
    """

    evaluations: int = 0
    propagated: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def plus(
        self, seconds: Mapping[str, float], *, evaluations: int = 0, propagated: int = 0
    ) -> "Statistics":
        names = dict.fromkeys((*self.seconds, *seconds))
        total = {name: self.seconds.get(name, 0.0) + seconds.get(name, 0.0) for name in names}
        return Statistics(self.evaluations + evaluations, self.propagated + propagated, total)


@dataclass(frozen=True)
class State:
    """A session. Two states are equal if their scenes and events are.

    Attributes:
      engine: video and networks.
      scene: objects and masks as they are now.
      events: everything that was done since the start, undo and redo included.
      past: scenes that undo brings back, the last one first to come.
      future: scenes that redo brings back, the last one first to come.
      statistics: cost so far.
    """

    engine: Engine = field(compare=False, repr=False)
    scene: Scene = field(default_factory=Scene, repr=False)
    events: tuple[Event, ...] = ()
    past: tuple[Scene, ...] = field(default=(), compare=False, repr=False)
    future: tuple[Scene, ...] = field(default=(), compare=False, repr=False)
    statistics: Statistics = field(default_factory=Statistics, compare=False)

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of all objects, ascending."""
        return tuple(sorted(self.scene.objects))

    @property
    def annotated(self) -> tuple[int, ...]:
        """Frames that the user marked, ascending."""
        return tuple(sorted(f for f, masks in self.scene.frames.items() if masks.marks))

    def labels(self, frame: int) -> np.ndarray:
        """Object ids of one frame, `[H, W]` uint8; zeros where nothing was segmented yet."""
        masks = self.scene.frames.get(frame)
        if masks is None:
            return np.zeros(self.engine.video.size, np.uint8)
        return unpack_labels(masks.labels)

    def probability(self, frame: int, object: int) -> np.ndarray | None:
        """The object's mask as a probability, `[H, W]` float32; None if it has no mask there.

        Soft where the user clicked or drew and where it was propagated, 0 or 1 where a mask was
        given.
        """
        masks = self.scene.frames.get(frame)
        if masks is None or object not in masks.provenance():
            return None
        if object in masks.marks:
            return unpack_probability(masks.marks[object].probability)
        if object in masks.soft:
            return unpack_probability(masks.soft[object])
        return (unpack_labels(masks.labels) == object).astype(np.float32)

    def provenance(self, frame: int) -> dict[int, Provenance]:
        """Object id -> "user", "corrected" or "propagated" on one frame; {} if no masks."""
        masks = self.scene.frames.get(frame)
        return {} if masks is None else masks.provenance()

    def clicks_satisfied(self) -> tuple[int, int]:
        """(clicks that the masks of the network agree with, clicks that count)."""
        every = [
            ok for f in self.scene.frames.values() for m in f.marks.values() for ok in m.satisfied
        ]
        return sum(every), len(every)

    def strokes_satisfied(self) -> tuple[int, int]:
        """(pixels of strokes that `labels` agree with, pixels of strokes).

        Where strokes cross, the last one counts; pixels that were clicked later do not count.
        """
        agree = count = 0
        for frame, masks in self.scene.frames.items():
            if not any(isinstance(hint, Scribble) for hint in masks.hints):
                continue
            drawn = PromptMaps(masks.hints, self.engine.video.size).prompt_labels()
            agree += int(np.sum(drawn == self.labels(frame)))
            count += int(np.sum(drawn != NOTHING))
        return agree, count


def start(engine: Engine) -> State:
    """The state before anything was done.

    >>> from ivs_jax import load_engine, open_video, start
    >>> state = start(load_engine(open_video("clip.mp4")))
    >>> state.objects
    ()
    """
    return State(engine)
