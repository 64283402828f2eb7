"""f-BRS: the input layers that all networks share, and DeepLabV3+.

The names of the tensors: experiments/papers/brs.md, section B4.
"""

from collections.abc import Iterator
from functools import partial

from ivs_jax.models.deeplab import RATES
from ivs_jax.weights.table import Entry, Table, conv, norm, table
from ivs_jax.weights.tables.resnet import resnet

LAYERS = ("layer1", "layer2", "layer3", "layer4")


def deeplab(depth: int) -> Table:
    """DeepLabV3+; files converted from MXNet hold a further scalar, the rate of a dropout."""
    source = "feature_extractor"
    return table(
        input_layers(),
        resnet(
            "body/backbone", f"{source}.backbone", depth=depth, layers=LAYERS, deep_stem=depth != 34
        ),
        _unit("body/skip", f"{source}.skip_project.skip_project"),
        _pyramid("body/pyramid", f"{source}.aspp"),
        _separable("body/decode", f"{source}.head.block"),
        conv("body/decode_output", f"{source}.head.block.2", bias=True),
        _separable("body/classify", "head.layers"),
        conv("body/predict", "head.layers.2", bias=True),
        ignored=[r"aspp_dropout$"],
    )


fbrs_resnet34, fbrs_resnet50, fbrs_resnet101 = (partial(deeplab, depth) for depth in (34, 50, 101))


def input_layers() -> Iterator[Entry]:
    """`rgb_conv` of `models.fbrs.FBRS`; its first kernel is split into image and maps."""
    yield from conv("mix_image", "rgb_conv.0", bias=True, layout="conv_rgb")
    yield from conv("mix_maps", "rgb_conv.0", layout="conv_after_rgb")
    yield from norm("mix_norm", "rgb_conv.2")
    yield from conv("mix_output", "rgb_conv.3", bias=True)


def _pyramid(target: str, source: str) -> Iterator[Entry]:
    names = ("point", *(f"rate{rate}" for rate in RATES))
    for i, name in enumerate(names):
        yield from _unit(f"{target}/{name}", f"{source}.concurent.{i}")
    yield from conv(f"{target}/image/conv", f"{source}.concurent.4.gap.1")
    yield from norm(f"{target}/image/norm", f"{source}.concurent.4.gap.2")
    yield from _unit(f"{target}/project", f"{source}.project")


def _separable(target: str, source: str) -> Iterator[Entry]:
    """Two separable convolutions in a row."""
    for i in range(2):
        body = f"{source}.{i}.body"
        yield from conv(f"{target}_{i}/depth", f"{body}.0", layout="depthwise")
        yield from conv(f"{target}_{i}/point/conv", f"{body}.1")
        yield from norm(f"{target}_{i}/point/norm", f"{body}.2")


def _unit(target: str, source: str) -> Iterator[Entry]:
    yield from conv(f"{target}/conv", f"{source}.0")
    yield from norm(f"{target}/norm", f"{source}.1")
