"""From clicks to the maps that a network sees."""

from jax import Array

from ivs_jax.ops.distance import disks, tanh_maps, truncated_maps
from ivs_jax.types import Clicks


def encode_clicks(clicks: Clicks, size: tuple[int, int], encoding: str, radius: float) -> Array:
    """Click maps `[H, W, 2]` float32, object first, in the named encoding.

    "disks" (RITM; 1 within `radius` pixels), "brs" (1 - d/255) or "fbrs" (tanh(2d/260)).
    Raises ValueError for another name.
    """
    if encoding == "disks":
        return disks(clicks, size, radius=radius)
    if encoding == "brs":
        return truncated_maps(clicks, size)
    if encoding == "fbrs":
        return tanh_maps(clicks, size)
    raise ValueError(f"unknown click encoding {encoding!r}, expected disks, brs or fbrs")
