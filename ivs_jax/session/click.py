"""Clicks on one frame -> mask of one object: zoom in, predict, refine, paste back.

Two compiled programs: one cuts the window out of the frame and pastes the answer back (one per
frame size), one predicts and refines at the network's fixed input size. Nothing compiles from the
second click on.
"""

import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.cache import CompileClock
from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.interaction.zoom import touches_border, widened, zoom_window
from ivs_jax.models.brs import ClickNet, ImageFeatures
from ivs_jax.ops.padding import padded_sides
from ivs_jax.ops.resize import crop_resize, paste
from ivs_jax.refine.brs import refine_input
from ivs_jax.refine.config import RefineConfig, config_for
from ivs_jax.refine.fbrs import refine_features
from ivs_jax.refine.lbfgs import Solution
from ivs_jax.types import OBJECT, PADDING, Clicks, Interaction

FRAME_MULTIPLE = 128
WIDENINGS = 2
IMAGENET_STD = (0.229, 0.224, 0.225)
TAPS = ("f-BRS-B",)


class Answer(NamedTuple):
    """What the compiled program returns: logits `[S, S]`, and the refinement's cost and energy."""

    logits: Array
    evaluations: Array
    energy: Array


class ClickInteractor:
    """A click network with refinement; satisfies `session.engine.Interactor`.

    Refinement runs from the first click on (f-BRS starts at the second): a click must hold at once.

    Args:
      net, variables: the network.
      refine: name of the mode, see `refine.config.MODES`.
      budget: most network evaluations a click may cost; None for the published limit.
      name, fingerprint: of the network, for reports.

    Raises ValueError for an unknown mode, or one whose tap the network does not have.
    """

    def __init__(
        self,
        net: ClickNet,
        variables: Any,
        *,
        refine: str,
        budget: int | None = None,
        name: str = "click",
        fingerprint: str = "",
    ):
        config = config_for(refine)
        if config is not None and config.variable == "features" and refine not in TAPS:
            raise ValueError(f"{name} has no tap for {refine}, only for {', '.join(TAPS)}")
        if config is not None and budget is not None:
            config = replace(config, max_evaluations=min(budget, config.max_evaluations))
        self._net, self._variables = net, jax.device_put(variables)
        self.name, self.refine, self.fingerprint = name, refine, fingerprint
        self.threshold = net.config.threshold
        side = net.config.input_size
        self._cut = jax.jit(partial(_cut, side=side))
        self._solve = jax.jit(partial(answer, net, config))
        self._paste = jax.jit(_paste, static_argnums=2)

    def predict(
        self, image: np.ndarray, clicks: Clicks, previous: np.ndarray | None
    ) -> Interaction:
        """See `session.engine.Interactor`.

        A mask that reaches the border of its window inside the image was cut off: the window is
        widened and the network asked again, at most `WIDENINGS` times.
        """
        size = (image.shape[0], image.shape[1])
        box = zoom_window(size, clicks, previous, threshold=self.threshold)
        seconds = {"compile": 0.0, "encode": 0.0, "refine": 0.0}
        evaluations = 0
        for attempt in range(WIDENINGS + 1):
            found, probability, spent = self._predict_in(image, clicks, previous, box)
            seconds = {phase: seconds[phase] + spent[phase] for phase in seconds}
            evaluations += int(found.evaluations)
            mask = np.asarray(found.logits) > 0
            if attempt == WIDENINGS or not touches_border(mask, box, size):
                break
            box = widened(box, size)
        satisfied = agreement(probability, clicks, threshold=self.threshold)
        return Interaction(probability, evaluations, float(found.energy), satisfied, seconds)

    def _predict_in(
        self, image: np.ndarray, clicks: Clicks, previous: np.ndarray | None, box: np.ndarray
    ) -> tuple[Answer, np.ndarray, dict[str, float]]:
        """One prediction in the window `box`: answer, probability `[H, W]`, seconds by phase."""
        size = (image.shape[0], image.shape[1])
        sides = padded_sides(*size, FRAME_MULTIPLE)
        with CompileClock() as clock:
            began = time.perf_counter()
            window, before = self._cut(_padded(image, sides), _padded_mask(previous, sides), box)
            window.block_until_ready()
            cut, compiled_cut = time.perf_counter(), clock.seconds
            found = self._solve(self._variables, window, before, self._to_window(clicks, box))
            found.logits.block_until_ready()
            solved, compiled_solve = time.perf_counter(), clock.seconds - compiled_cut
            probability = np.asarray(self._paste(found.logits, box, sides))[: size[0], : size[1]]
            ended = time.perf_counter()
        rest = (ended - began) - (solved - cut) - (clock.seconds - compiled_solve)
        refine = solved - cut - compiled_solve
        seconds = {"compile": clock.seconds, "encode": max(0.0, rest), "refine": max(0.0, refine)}
        return found, probability, seconds

    def _to_window(self, clicks: Clicks, box: np.ndarray) -> Clicks:
        """Clicks in pixels of the window; those outside it are dropped (they are background)."""
        side = self._net.config.input_size
        scale = side / (box[2] - box[0])
        xy = (np.asarray(clicks.xy) + 0.5 - box[:2]) * scale - 0.5
        inside = ((xy >= -0.5) & (xy < side - 0.5)).all(-1)
        label = np.where(inside, np.asarray(clicks.label), PADDING).astype(np.int32)
        return Clicks(np.where(inside[:, None], xy, 0).astype(np.float32), label)


def agreement(probability: np.ndarray, clicks: Clicks, *, threshold: float) -> np.ndarray:
    """For each real click, does the mask `probability` `[H, W]` say what it says? bool `[n]`."""
    label = np.asarray(clicks.label)
    real = label != PADDING
    xy = np.rint(np.asarray(clicks.xy)[real]).astype(int)
    rows = np.clip(xy[:, 1], 0, probability.shape[0] - 1)
    columns = np.clip(xy[:, 0], 0, probability.shape[1] - 1)
    return (probability[rows, columns] > threshold) == (label[real] == OBJECT)


def answer(
    net: ClickNet,
    config: RefineConfig | None,
    variables: Any,
    window: Array,
    previous: Array,
    clicks: Clicks,
) -> Answer:
    """Predicts and refines at the network's input size; pure.

    `window` `[S, S, 3]` float32 in [0, 1], `previous` `[S, S]` in [0, 1], `clicks` in pixels of the
    window. Without refinement the energy is 0 and no evaluation is counted.
    """
    features: ImageFeatures = net.apply(variables, window[None], method="encode")  # type: ignore[assignment]
    size, before = (window.shape[0], window.shape[1]), previous[None]

    def logits_of(features: ImageFeatures, maps: Array) -> Array:
        out: Any = net.apply(variables, features, maps[None], before, method="predict")
        return out.logits[0]

    def encoded(clicks: Clicks) -> Array:
        return encode_clicks(clicks, size, net.config.maps, net.config.radius)

    if config is None:
        return Answer(logits_of(features, encoded(clicks)), jnp.int32(0), jnp.float32(0))
    maps = encoded(_first(clicks, config.network_clicks))
    solution: Solution
    if config.variable == "maps":
        solution = refine_input(
            lambda delta: logits_of(features, maps + delta), maps, clicks, config=config
        )
    elif config.variable == "rgb":
        std = jnp.array(IMAGENET_STD)

        def changed(delta: Array) -> Array:
            image = (window + delta * std[None, None])[None]
            encoded_image: Any = net.apply(variables, image, method="encode")
            return logits_of(encoded_image, maps)

        solution = refine_input(changed, window, clicks, config=config)
    else:
        tapped: Any = net.apply(variables, features, maps[None], before, method="features_at")

        def head(x: Array) -> Array:
            out: Any = net.apply(variables, tapped._replace(x=x), method="head")
            return out.logits[0]

        solution = refine_features(head, tapped.x, clicks, config=config)
    return Answer(solution.aux, solution.evaluations, solution.energy)


def _first(clicks: Clicks, count: int | None) -> Clicks:
    """The first `count` clicks, as f-BRS limits what the network sees; None keeps all."""
    if count is None:
        return clicks
    early = jnp.cumsum(clicks.label != PADDING) <= count
    return Clicks(clicks.xy, jnp.where(early, clicks.label, PADDING))


def _padded(image: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    return np.pad(image, ((0, sides[0] - image.shape[0]), (0, sides[1] - image.shape[1]), (0, 0)))


def _padded_mask(mask: np.ndarray | None, sides: tuple[int, int]) -> np.ndarray:
    if mask is None:
        return np.zeros((*sides, 1), np.float32)
    return _padded(np.asarray(mask, np.float32)[..., None], sides)


def _cut(image: Array, previous: Array, box: Array, *, side: int) -> tuple[Array, Array]:
    window = crop_resize(image.astype(jnp.float32) / 255, box, (side, side))
    return jnp.clip(window, 0, 1), crop_resize(previous, box, (side, side))[..., 0]


def _paste(logits: Array, box: Array, sides: tuple[int, int]) -> Array:
    return paste(jax.nn.sigmoid(logits)[..., None], box, sides)[..., 0]
