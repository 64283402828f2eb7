"""A window of a frame as the click network sees it, and its answer back in the frame; pure."""

import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.ops.resize import crop_resize, paste

WIDENINGS = 2  # how often the window of one click is widened while its mask is cut off


def cut_window(image: Array, previous: Array, box: Array, *, side: int) -> tuple[Array, Array]:
    """The window `box` of a frame and of its last mask: `[S, S, 3]` in [0, 1] and `[S, S]`.

    `image` is `[H, W, 3]` uint8, `previous` `[H, W, 1]` in [0, 1].
    """
    window = crop_resize(image.astype(jnp.float32) / 255, box, (side, side))
    return jnp.clip(window, 0, 1), crop_resize(previous, box, (side, side))[..., 0]


def paste_window(logits: Array, box: Array, sides: tuple[int, int]) -> Array:
    """Probability `[*sides]` of `logits` `[S, S]` of the window `box`; 0 outside it."""
    return paste(jax.nn.sigmoid(logits)[..., None], box, sides)[..., 0]
