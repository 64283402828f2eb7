"""Changes of light and sharpness, on the device: pure functions of a batch and its seeds.

What changes geometry stays with the samplers, because frames come in many sizes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


@dataclass(frozen=True)
class Colour:
    """Ranges of random changes; 0 is none.

    Attributes:
      gain, contrast, saturation: factors from 1 - x to 1 + x.
      balance: the same for each colour channel.
      grey: probability that a sample is grey.
      sharpen: (low, high) of how much of what a 3 x 3 blur takes is added again: -1 is the blur,
        1 a sharpened frame, as compressed and downsized video is. (0, 0) is none.
      frame: strength of a second change that each frame of a clip has for itself.
    """

    gain: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.25
    balance: float = 0.08
    grey: float = 0.0
    sharpen: tuple[float, float] = (0.0, 0.0)
    frame: float = 0.2

    def __post_init__(self) -> None:
        for name in ("gain", "contrast", "saturation", "balance", "grey", "frame"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"colour: {name} is {getattr(self, name)}, expected 0 to 1")
        if not -1 <= self.sharpen[0] <= self.sharpen[1]:
            raise ValueError(f"colour: sharpen is {self.sharpen}, expected -1 <= low <= high")


def augment(batch: Any, colour: Colour) -> Any:
    """The batch with its `image` or `frames` changed, uint8 as before; the rest is the same.

    Sample n follows from `batch.seed[n]` alone, however the batch is cut over devices. All frames
    of a clip share a change, and have a small one each.
    """
    name = "image" if hasattr(batch, "image") else "frames"
    change = partial(_still if name == "image" else _clip, colour=colour)
    return batch._replace(**{name: jax.vmap(change)(getattr(batch, name), batch.seed)})


def _still(image: Array, seed: Array, *, colour: Colour) -> Array:
    x = jnp.asarray(image, jnp.float32) / 255
    return _as_uint8(_changed(x, jax.random.key(seed), colour, 1.0))


def _clip(frames: Array, seed: Array, *, colour: Colour) -> Array:
    key, own = jax.random.split(jax.random.key(seed))
    x = jnp.asarray(frames, jnp.float32) / 255
    x = jax.vmap(lambda frame: _changed(frame, key, colour, 1.0))(x)
    if colour.frame > 0:
        keys = jax.random.split(own, len(frames))
        x = jax.vmap(lambda frame, k: _relit(frame, k, colour, colour.frame))(x, keys)
    return _as_uint8(x)


def _changed(x: Array, key: Array, colour: Colour, strength: float) -> Array:
    """`x` `[H, W, 3]` in [0, 1]: sharpness, light, and grey or not."""
    light, sharp, grey = jax.random.split(key, 3)
    if colour.sharpen != (0.0, 0.0):
        amount = jax.random.uniform(sharp, minval=colour.sharpen[0], maxval=colour.sharpen[1])
        x = jnp.clip(x + amount * (x - _blurred(x)), 0, 1)
    x = _relit(x, light, colour, strength)
    if colour.grey > 0:
        mean = jnp.mean(x, -1, keepdims=True)
        x = jnp.where(jax.random.bernoulli(grey, colour.grey), mean, x)
    return x


def _relit(x: Array, key: Array, colour: Colour, strength: float) -> Array:
    """Saturation, colour balance, contrast about mid-grey, gain."""
    draws = strength * jax.random.uniform(key, (6,), minval=-1.0, maxval=1.0)
    grey = jnp.mean(x, -1, keepdims=True)
    x = grey + (1 + colour.saturation * draws[0]) * (x - grey)
    x = x * (1 + colour.balance * draws[1:4]).reshape(1, 1, 3)
    x = (x - 0.5) * (1 + colour.contrast * draws[4]) + 0.5
    return jnp.clip(x * (1 + colour.gain * draws[5]), 0, 1)


def _blurred(x: Array) -> Array:
    """Each pixel of `[H, W, C]` by the weights 1/4, 1/2, 1/4 along both axes; edges repeat."""
    for axis in (0, 1):
        widths = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        padded = jnp.pad(x, widths, mode="edge")
        left, right = (
            jax.lax.slice_in_dim(padded, start, start + x.shape[axis], axis=axis)
            for start in (0, 2)
        )
        x = 0.5 * x + 0.25 * (left + right)
    return x


def _as_uint8(x: Array) -> Array:
    return jnp.round(255 * x).astype(jnp.uint8)
