"""Clicks on one frame -> mask of one object: zoom in, predict, refine, paste back.

Two compiled programs: one cuts the window out of the frame and pastes the answer back (one per
frame size), one predicts and refines at the network's fixed input size. Nothing compiles from the
second click on.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.interaction.zoom import (
    into_window,
    touches_border,
    whole_window,
    widened,
    zoom_window,
)
from ivs_jax.ops.padding import pad_below, padded_sides
from ivs_jax.refine.config import RefineConfig, config_for, interactive_settings
from ivs_jax.refine.solution import FAILED
from ivs_jax.session.answer import Answer, answer, encode
from ivs_jax.session.recent import Recent
from ivs_jax.session.window import WIDENINGS, cut_window, paste_window
from ivs_jax.types import OBJECT, PADDING, Clicks, Interaction

FRAME_MULTIPLE = 128
WINDOWS = 4  # of an encoded image whose features are kept

Encoded = Recent[Any]  # features of the last windows of one image


class Carried(NamedTuple):
    """What a click leaves for the next: the variables of refinement, and the window they are of."""

    x: Any
    box: np.ndarray


class ClickInteractor:
    """A click network with refinement; satisfies `session.engine.Interactor`.

    An answer depends on what is given alone. Refinement runs with `refine.interactive_settings`:
    from the first click on (f-BRS starts at the second), because a click must hold at once. For the
    published protocol see `session.protocol`.

    Args:
      net, variables: the network, see `session.answer`.
      refine: name of the mode, see `refine.config.MODES`.
      budget: most network evaluations a click may cost; None for the published limit.
      published: refine as published, see `refine.config`, not `interactive_settings`.
      dtype: that the network computes in; variables of refinement and energies stay float32.
      name, fingerprint: of the network, for reports.

    Raises ValueError for an unknown mode, or one whose tap the network does not have.
    """

    def __init__(
        self,
        net: Any,
        variables: Any,
        *,
        refine: str,
        budget: int | None = None,
        published: bool = False,
        dtype: Any = jnp.float32,
        name: str = "click",
        fingerprint: str = "",
    ):
        config = config_for(refine)
        taps = net.config.taps
        if config is not None and config.variable == "features" and refine not in taps:
            raise ValueError(f"{name} has no tap for {refine}, only for {', '.join(taps)}")
        if config is not None and budget is not None:
            config = replace(config, max_evaluations=min(budget, config.max_evaluations))
        if config is not None and not published:
            config = interactive_settings(config)
        self.network = net
        self.variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), variables)
        self.config: RefineConfig | None = config
        self.name, self.refine, self.fingerprint = name, refine, fingerprint
        self.threshold = net.config.threshold
        side = net.config.input_size
        self._cut = jax.jit(partial(cut_window, side=side))
        self.answer: Callable[..., Answer] = partial(answer, net, config, dtype=dtype)
        self._encode = jax.jit(partial(encode, net, dtype=dtype))
        self._solve = jax.jit(self.answer)
        self._paste = jax.jit(paste_window, static_argnums=2)

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
        encoded: Encoded | None = None,
    ) -> Interaction:
        """See `session.engine.ImageEncoder`; of strokes the network sees their clicks alone."""
        return self.predict_from(image, clicks, previous, None, encoded)[0]

    def encode(self, image: np.ndarray) -> Encoded:
        """See `session.engine.ImageEncoder`: begins with the window of a first click."""
        encoded, size = Encoded(WINDOWS), (image.shape[0], image.shape[1])
        box, sides = whole_window(size), padded_sides(*size, FRAME_MULTIPLE)
        window, _ = self._cut(pad_below(image, sides), _padded_mask(None, sides), box)
        self._features(encoded, box, window)
        return encoded

    def predict_from(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        carried: Carried | None,
        encoded: Encoded | None = None,
    ) -> tuple[Interaction, Carried]:
        """`predict`, with refinement started where an earlier click ended; None starts at 0.

        A mask that reaches the border of its window inside the image was cut off: the window is
        widened and the network asked again, at most `WIDENINGS` times.

        Raises ValueError if what the network says is not finite.
        """
        size = (image.shape[0], image.shape[1])
        box = zoom_window(size, clicks, previous, threshold=self.threshold)
        seconds = {"compile": 0.0, "encode": 0.0, "refine": 0.0}
        evaluations = 0
        for attempt in range(WIDENINGS + 1):
            start = self._start(carried, box)
            found, probability, spent = self._predict_in(
                image, clicks, previous, box, start, encoded
            )
            self._check_finite(found)
            seconds = {phase: seconds[phase] + spent[phase] for phase in seconds}
            evaluations += int(found.evaluations)
            mask = np.asarray(found.logits) > 0
            if attempt == WIDENINGS or not touches_border(mask, box, size):
                break
            box = widened(box, size)
        satisfied = agreement(probability, clicks, threshold=self.threshold)
        answer = Interaction(probability, evaluations, float(found.energy), satisfied, seconds)
        return answer, Carried(found.x, box)

    def _start(self, carried: Carried | None, box: np.ndarray) -> Any:
        """Scales and biases hold in any window, changes of the input only in theirs."""
        if carried is None or self.config is None:
            return None
        same = self.config.variable == "features" or np.array_equal(carried.box, box)
        return carried.x if same else None

    def _check_finite(self, found: Answer) -> None:
        # The compiled program cannot raise.
        if int(found.status) == FAILED or not np.isfinite(np.asarray(found.logits)).all():
            raise ValueError(
                f"{self.name}: expected a finite answer of the network and a finite energy, found "
                "NaN or infinity: do the weights hold any?"
            )

    def _predict_in(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        box: np.ndarray,
        start: Any,
        encoded: Encoded | None,
    ) -> tuple[Answer, np.ndarray, dict[str, float]]:
        """One prediction in the window `box`: answer, probability `[H, W]`, seconds by phase."""
        size = (image.shape[0], image.shape[1])
        sides, side = padded_sides(*size, FRAME_MULTIPLE), self.network.config.input_size
        with CompileClock() as clock:
            began = time.perf_counter()
            window, before = self._cut(pad_below(image, sides), _padded_mask(previous, sides), box)
            features = self._features(encoded, box, window)
            jax.block_until_ready((window, features))
            cut, compiled_cut = time.perf_counter(), clock.seconds
            inside = into_window(clicks, box, side)
            found = self._solve(self.variables, window, before, inside, start, features)
            found.logits.block_until_ready()
            solved, compiled_solve = time.perf_counter(), clock.seconds - compiled_cut
            probability = np.asarray(self._paste(found.logits, box, sides))[: size[0], : size[1]]
            ended = time.perf_counter()
        rest = (ended - began) - (solved - cut) - (clock.seconds - compiled_solve)
        refine = solved - cut - compiled_solve
        seconds = {"compile": clock.seconds, "encode": max(0.0, rest), "refine": max(0.0, refine)}
        return found, probability, seconds

    def _features(self, encoded: Encoded | None, box: np.ndarray, window: Any) -> Any:
        """What is kept of the window `box`; None where the network has to encode it anew."""
        if encoded is None or (self.config is not None and self.config.variable == "rgb"):
            return None  # RGB-BRS changes the image itself
        return encoded.get([box], lambda: self._encode(self.variables, window))


def agreement(probability: np.ndarray, clicks: Clicks, *, threshold: float) -> np.ndarray:
    """For each real click, does the mask `probability` `[H, W]` say what it says? bool `[n]`."""
    label = np.asarray(clicks.label)
    real = label != PADDING
    xy = np.rint(np.asarray(clicks.xy)[real]).astype(int)
    rows = np.clip(xy[:, 1], 0, probability.shape[0] - 1)
    columns = np.clip(xy[:, 0], 0, probability.shape[1] - 1)
    return (probability[rows, columns] > threshold) == (label[real] == OBJECT)


def _padded_mask(mask: np.ndarray | None, sides: tuple[int, int]) -> np.ndarray:
    if mask is None:
        return np.zeros((*sides, 1), np.float32)
    return pad_below(np.asarray(mask, np.float32)[..., None], sides)
