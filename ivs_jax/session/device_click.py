"""One look of the network at clicks on one frame, as a pure function of static shapes.

`session.click` asks again in a wider window while the mask is cut off; whole runs on the device do
so too, but each look is a turn of their own loop (`evaluation.noc.program`): under `vmap` the items
of a batch then never wait for the one that needs the most looks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.interaction.zoom import into_window, touches_border
from ivs_jax.refine.solution import FAILED
from ivs_jax.session.answer import Answer
from ivs_jax.session.click import ClickInteractor
from ivs_jax.session.window import cut_window, paste_window
from ivs_jax.types import PADDING, Clicks, make_clicks


class Look(NamedTuple):
    """What one look at a window gives.

    Attributes:
      probability: `[H, W]` float32, 0 beyond window and frame.
      evaluations: int32 [], network evaluations of the refinement.
      cut_off: bool [], whether the mask reaches a border of the window inside the frame.
      finite: bool [], whether the network's answer is free of NaN and infinity.
      x: what refinement found, see `session.answer`.
    """

    probability: Array
    evaluations: Array
    cut_off: Array
    finite: Array
    x: Any


def look(
    ask: Callable[..., Answer],
    side: int,
    variables: Any,
    image: Array,
    size: Array,
    clicks: Clicks,
    previous: Array,
    box: Array,
    live: Array,
    start: Any,
) -> Look:
    """Cuts out the window, predicts, refines and pastes back.

    Args:
      ask: `session.answer.answer` of a network, `(variables, window, previous, clicks, start)`.
      side: of the window that it is asked about.
      image: `[H, W, 3]` uint8, a frame padded to its bucket.
      size: `[2]` int32, height and width of the frame without padding.
      clicks: in pixels of the frame.
      previous: `[H, W]`, the probability before the last click, all 0 before the first.
      box: the window, see `interaction.zoom`.
      live: bool []; False for an item of a batch that needs no answer. It has no clicks then, so
        the others do not wait for its solver; the answer has no meaning.
      start: of refinement, an earlier `x`; None starts at 0.
    """
    window, before = cut_window(image, previous[..., None], box, side=side)
    asked = Clicks(clicks.xy, jnp.where(live, clicks.label, PADDING))
    found = ask(variables, window, before, into_window(asked, box, side), start)
    pasted = paste_window(found.logits, box, (image.shape[0], image.shape[1]))
    return Look(
        probability=jnp.where(inside(size, pasted.shape), pasted, 0),
        evaluations=found.evaluations,
        cut_off=touches_border(found.logits > 0, box, size),
        finite=jnp.isfinite(found.logits).all() & (found.status != FAILED),
        x=found.x,
    )


def blank_start(interactor: ClickInteractor) -> Any:
    """Where refinement starts without an earlier solution: `x` of an answer, all 0 (NumPy)."""
    side = interactor.network.config.input_size
    window, mask = np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.float32)
    shapes = jax.eval_shape(
        interactor.answer, interactor.variables, window, mask, make_clicks([], [])
    )
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes.x)


def inside(size: Array, padded: tuple[int, ...]) -> Array:
    """Which pixels of a frame padded to `padded` belong to the frame of `size`, `[H, W]` bool."""
    rows, columns = jnp.arange(padded[0]) < size[0], jnp.arange(padded[1]) < size[1]
    return rows[:, None] & columns[None]
