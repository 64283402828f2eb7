"""BRS (experiments/papers/brs.md, section A1); tensors are called `layer/index of the blob`.

Caffe's batch normalisation stores mean and variance times a factor, its third blob; gain and offset
are a layer of their own. The channels of the first kernel are B, G, R, positive and negative map,
in the order in which our network has them.
"""

from collections.abc import Iterator, Sequence

from ivs_jax.models.brs import BRS
from ivs_jax.models.densenet import DENSENET_121
from ivs_jax.weights.table import Entry, Table, table


def brs() -> Table:
    """`BRS_DenseNet.caffemodel` of the official code."""
    return table(_encoder("encoder"), _coarse(), _fine("fine"))


def _encoder(target: str) -> Iterator[Entry]:
    yield Entry(f"params/{target}/stem/kernel", ("conv1/0",), "conv_rgb")
    yield Entry(f"params/{target}/stem_extra/kernel", ("conv1/0",), "conv_after_rgb")
    yield from _affine_norm(f"{target}/stem_norm", "conv1")
    for block, count in enumerate(DENSENET_121, 1):
        for i in range(count):
            ours, theirs = f"{target}/block{block}_{i}", f"conv{block + 1}_{i + 1}"
            for part in (1, 2):
                yield from _affine_norm(f"{ours}/norm{part}", f"{theirs}/x{part}")
                yield from _conv(f"{ours}/conv{part}", f"{theirs}/x{part}")
        if block < len(DENSENET_121):
            yield from _affine_norm(f"{target}/transition{block}/norm", f"conv{block + 1}_blk")
            yield from _conv(f"{target}/transition{block}/conv", f"conv{block + 1}_blk")


def _coarse() -> Iterator[Entry]:
    """The published names carry the scale, which has a slash too: "conv_1/16_2d"."""
    for i, stage in enumerate(BRS.stages):
        scale = f"1/{stage.stride}"
        yield from _gate("first_gate" if i == 0 else f"skips_{i - 1}/gate", f"conv_SE_{scale}")
        if i > 0:
            yield from _conv(f"skips_{i - 1}/conv", f"conv_SE_{scale}", bias=True)
            yield from _activated(f"skips_{i - 1}", f"SE_{scale}")
            yield Entry(f"params/ups_{i - 1}/kernel", (f"deconv_{scale}d/0",), "deconv")
            yield from _activated(f"ups_{i - 1}", f"{scale}d")
        for part, unit in enumerate(("unit0", "unit1", "reduce"), 1):
            yield from _unit(f"stages_{i}/{unit}", f"{scale}_{part}d")
    yield from _conv("predict_coarse", "pred_1/4", bias=True)
    yield Entry("params/enlarge/kernel", ("pred_step_1/0",), "deconv")


def _fine(target: str) -> Iterator[Entry]:
    for dilation in (1, 2, 3):
        for part, unit in enumerate(("dilated", "conv", "reduce"), 1):
            yield from _unit(f"{target}/branch{dilation}_{unit}", f"atrous{dilation}_{part}")
    yield from _gate(f"{target}/gate", "conv_s2", ("down", "up"))
    yield from _unit(f"{target}/merge", "p1_1")
    yield from _conv(f"{target}/predict", "pred_step_2", bias=True)


def _gate(target: str, source: str, names: Sequence[str] = ("1", "2")) -> Iterator[Entry]:
    for ours, theirs in zip(("reduce", "expand"), names, strict=True):
        yield from _conv(f"{target}/{ours}", f"{source}_{theirs}", bias=True, layout="dense")


def _unit(target: str, source: str) -> Iterator[Entry]:
    yield from _conv(f"{target}/conv", f"conv_{source}")
    yield from _activated(target, source)


def _activated(target: str, source: str) -> Iterator[Entry]:
    yield Entry(f"params/{target}/act/slope", (f"prelu_{source}/0",))
    yield from _statistics(f"{target}/norm", f"bn_{source}")


def _conv(target: str, source: str, *, bias: bool = False, layout: str = "conv") -> Iterator[Entry]:
    yield Entry(f"params/{target}/kernel", (f"{source}/0",), layout)
    if bias:
        yield Entry(f"params/{target}/bias", (f"{source}/1",))


def _affine_norm(target: str, source: str) -> Iterator[Entry]:
    yield from _statistics(target, f"{source}/bn")
    yield Entry(f"params/{target}/scale", (f"{source}/scale/0",))
    yield Entry(f"params/{target}/bias", (f"{source}/scale/1",))


def _statistics(target: str, source: str) -> Iterator[Entry]:
    for blob, name in enumerate(("mean", "variance")):
        yield Entry(f"batch_stats/{target}/{name}", (f"{source}/{blob}", f"{source}/2"), "ratio")
