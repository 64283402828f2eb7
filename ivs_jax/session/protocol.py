"""The published protocol of refinement for benchmark loops: every click starts from the one before.

f-BRS keeps the scales and biases of the last click as its start, also in another window; input
modes start anew when the window changes (experiments/papers/brs.md, section B5). So an answer
depends on the way to it. A session must be able to replay its clicks in any order of undo and redo,
so it never does this.
"""

import threading
from typing import NamedTuple, TypeVar

import numpy as np

from ivs_jax.session.click import Carried, ClickInteractor
from ivs_jax.types import PADDING, Clicks, Interaction

T = TypeVar("T")


class _Last(NamedTuple):
    image: np.ndarray
    clicks: int
    carried: Carried


class PublishedProtocol:
    """Carries the variables of refinement from click to click of one object.

    For loops that click one object to the end before the next, as `evaluation.noc` does; each of
    several threads is a loop of its own. Whatever does not go on from the last call (another image
    object, a mask that is None, or not one click more) starts anew.

    Args:
      interactor: made with `published=True`.
    """

    def __init__(self, interactor: ClickInteractor):
        self.interactor, self._here = interactor, threading.local()
        self.name, self.refine = interactor.name, interactor.refine
        self.config = interactor.config
        self.fingerprint = f"{interactor.fingerprint} published"
        self.threshold = interactor.threshold

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
    ) -> Interaction:
        """See `session.engine.Interactor`; of strokes the network sees their clicks alone."""
        count = int(np.sum(np.asarray(clicks.label) != PADDING))
        last: _Last | None = getattr(self._here, "last", None)
        goes_on = last and previous is not None and last.image is image and last.clicks == count - 1
        carried = last.carried if last and goes_on else None
        answer, carried = self.interactor.predict_from(image, clicks, previous, carried)
        self._here.last = _Last(image, count, carried)
        return answer


def as_published(interactor: T) -> "T | PublishedProtocol":
    """`interactor`, or the `PublishedProtocol` of one that refines windows."""
    return PublishedProtocol(interactor) if isinstance(interactor, ClickInteractor) else interactor
