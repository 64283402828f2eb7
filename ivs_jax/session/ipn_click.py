"""IPN's interaction network in a session: clicks and strokes on a frame -> mask of one object.

Frames are padded to a multiple of 128 and their size is an argument, so that few shapes are ever
compiled.
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.cache import CompileClock
from ivs_jax.interaction.strokes import UNMARKED, near, stroke_maps
from ivs_jax.models.ipn import IPN
from ivs_jax.ops.distance import crosses
from ivs_jax.ops.padding import pad_below, padded_sides
from ivs_jax.refine.config import NO_REFINEMENT
from ivs_jax.session.click import FRAME_MULTIPLE, agreement
from ivs_jax.types import BACKGROUND, OBJECT, Array, Clicks, Interaction


class IPNInteractor:
    """I-net, with clicks as strokes of one pixel; satisfies `session.engine.Interactor`.

    Strokes of others count on and near the object alone, see `interaction.strokes.near`.

    Args:
      net, variables: the network; of its variables only I-net's are kept.
      refine: there is no refinement for IPN, so "NoBRS" alone.
      name, fingerprint: of the network, for reports.
    """

    def __init__(
        self,
        net: IPN,
        variables: Any,
        *,
        refine: str = NO_REFINEMENT,
        name: str = "ipn",
        fingerprint: str = "",
    ):
        if refine != NO_REFINEMENT:
            raise ValueError(f"{name} has no refinement, so refine {refine!r} must be NoBRS")
        self.name, self.refine, self.fingerprint = name, refine, fingerprint
        self.threshold, self.config = net.config.threshold, None
        self._variables = jax.device_put(
            {
                collection: {k: v for k, v in tree.items() if k.startswith("interaction")}
                for collection, tree in variables.items()
            }
        )
        self._interact = jax.jit(partial(_interact, net))

    def predict(
        self,
        image: np.ndarray,
        clicks: Clicks,
        previous: np.ndarray | None,
        *,
        scribbles: np.ndarray | None = None,
    ) -> Interaction:
        """See `session.engine.Interactor`."""
        size = (image.shape[0], image.shape[1])
        sides = padded_sides(*size, FRAME_MULTIPLE)
        mask = np.zeros(size, np.float32) if previous is None else np.asarray(previous, np.float32)
        with CompileClock() as clock:
            began = time.perf_counter()
            found = self._interact(
                self._variables,
                pad_below(image, sides),
                pad_below(mask, sides),
                clicks,
                pad_below(self._strokes(scribbles, mask), sides),
                np.array(size),
            )
            probability = np.asarray(found)[: size[0], : size[1]]
            spent = time.perf_counter() - began
        seconds = {"compile": clock.seconds, "encode": max(0.0, spent - clock.seconds)}
        satisfied = agreement(probability, clicks, threshold=self.threshold)
        return Interaction(probability, 0, 0.0, satisfied, seconds)

    def _strokes(self, scribbles: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
        """Maps `[H, W, 2]` of the strokes that count."""
        if scribbles is None:
            return np.zeros((*mask.shape, 2), np.float32)
        around = near((scribbles == OBJECT) | (mask > self.threshold))
        return stroke_maps(np.where((scribbles == BACKGROUND) & ~around, UNMARKED, scribbles))


def _interact(
    net: IPN,
    variables: Any,
    image: Array,
    mask: Array,
    clicks: Clicks,
    strokes: Array,
    size: Array,
) -> Array:
    """Probability `[H, W]` of the object; pure."""
    maps = jnp.maximum(crosses(clicks, (mask.shape[0], mask.shape[1])), strokes)
    positive, negative = maps[..., 0], maps[..., 1] * (1 - maps[..., 0])
    frame = image[None].astype(jnp.float32) / 255
    found: Any = net.apply(
        variables, frame, mask[None], positive[None], negative[None], size, method="interact"
    )
    return found.probability[0]
