"""Which parameters of a network are its pretrained encoder, and which of those stand still."""

import re

from ivs_jax.training.optimiser import FROZEN

ENCODERS = (
    "encoder",
    "memory_encoder",
    "query_encoder",
    "interaction_encoder",
    "propagation_encoder",
)
# The body of f-BRS and RITM holds DeepLab's encoder as one part, HRNet's as several.
OF_BODY = re.compile(r"backbone$|stem|layer\d|transition\d|stage\d")
NORM = re.compile(r"(^|_)norm\d*$")


def of_encoder(path: tuple[str, ...]) -> bool:
    """Whether the parameter at `path` belongs to what ImageNet weights fill.

    The kernels of further input channels (clicks, masks) do not: they start from scratch.
    """
    if path[0] == "body":
        return OF_BODY.match(path[1]) is not None
    return path[0] in ENCODERS and path[1] != "stem_extra"


def of_norm(path: tuple[str, ...]) -> bool:
    """Whether the parameter at `path` is a gain or an offset of a normalisation."""
    return NORM.search(path[-2]) is not None


def group_of(path: tuple[str, ...], *, norms: bool) -> str:
    """The learning-rate group of a parameter: "encoder", "decoder" or "frozen".

    Gains and offsets of the encoder's normalisations are frozen unless `norms` says that they are
    trained. The depthwise kernels of a MobileNet are frozen too: together these are under 3 % of
    its parameters, and on CPU their gradients cost as much as all others.
    """
    if not of_encoder(path):
        return "decoder"
    frozen = "depthwise" in path or (not norms and of_norm(path))
    return FROZEN if frozen else "encoder"
