"""Entries of residual networks, in torchvision's names and in those of the v1b / v1s variants."""

from collections.abc import Iterator, Sequence

import numpy as np

from ivs_jax.models.resnet import DEPTHS, IMAGENET_MEAN, IMAGENET_STD
from ivs_jax.weights.table import Entry, conv, norm


def resnet(
    target: str,
    source: str,
    *,
    depth: int = 50,
    layers: Sequence[str] = ("res2", "res3", "res4"),
    extra: Sequence[str] = (),
    extra_bias: bool = False,
    deep_stem: bool = False,
) -> Iterator[Entry]:
    """A `models.resnet.ResNet`; `layers` are the published names of its stages.

    `extra` are the published kernels of further input channels, in the order of our channels.
    """
    if deep_stem:
        yield from conv(f"{target}/stem", f"{source}.conv1.0")
        for i, (normed, convolved) in enumerate(((1, 3), (4, 6))):
            yield from norm(f"{target}/stem_inner_{i}/norm", f"{source}.conv1.{normed}")
            yield from conv(f"{target}/stem_inner_{i}/conv", f"{source}.conv1.{convolved}")
    else:
        yield from conv(f"{target}/stem", f"{source}.conv1")
    if extra:
        names = [f"{source}.{name}" for name in extra]
        yield from conv(f"{target}/stem_extra", *names, bias=extra_bias)
    yield from norm(f"{target}/stem_norm", f"{source}.bn1")
    for stage, layer in enumerate(layers, 1):
        for i in range(DEPTHS[depth][stage - 1]):
            projects = i == 0 and (stage > 1 or depth != 34)
            ours, theirs = f"{target}/stage{stage}_{i}", f"{source}.{layer}.{i}"
            yield from block(ours, theirs, 2 if depth == 34 else 3, projects)


def block(target: str, source: str, convolutions: int, projects: bool = False) -> Iterator[Entry]:
    """A `BasicBlock` (2 convolutions) or `Bottleneck` (3); `projects` where its width changes."""
    for i in range(1, convolutions + 1):
        yield from conv(f"{target}/conv{i}", f"{source}.conv{i}")
        yield from norm(f"{target}/norm{i}", f"{source}.bn{i}")
    if projects:
        yield from conv(f"{target}/downsample", f"{source}.downsample.0")
        yield from norm(f"{target}/downsample_norm", f"{source}.downsample.1")


def imagenet_constants(*sources: str) -> dict[str, np.ndarray]:
    """The `mean` and `std` buffers that encoders carry, `[1, 3, 1, 1]` each."""
    values = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    return {
        f"{source}.{name}": np.array(value, np.float32).reshape(1, 3, 1, 1)
        for source in sources
        for name, value in values.items()
    }
