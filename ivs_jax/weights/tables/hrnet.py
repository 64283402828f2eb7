"""HRNetV2 with OCR, in the names of f-BRS and RITM (experiments/papers/brs.md, section B4)."""

from collections.abc import Iterator

from ivs_jax.models.hrnet import HRNetConfig
from ivs_jax.weights.table import Entry, Table, conv, norm, stacked, table
from ivs_jax.weights.tables.fbrs import input_layers
from ivs_jax.weights.tables.resnet import block


def fbrs_hrnet() -> Table:
    """f-BRS with HRNet; the names are the same for all widths."""
    return table(input_layers(), hrnet("body", "feature_extractor", HRNetConfig()))


def hrnet(target: str, source: str, config: HRNetConfig) -> Iterator[Entry]:
    """A `models.hrnet.HRNet`."""
    for ours, i in (("stem", 1), ("stem_inner", 2)):
        yield from _unit(f"{target}/{ours}", f"{source}.conv{i}", f"{source}.bn{i}")
    for i in range(config.blocks):
        yield from block(f"{target}/layer1_{i}", f"{source}.layer1.{i}", 3, projects=i == 0)
    for ours, theirs in (
        ("transition1_0", "transition1.0"),
        ("transition1_1", "transition1.1.0"),
        ("transition2", "transition2.2.0"),
        ("transition3", "transition3.3.0"),
    ):
        yield from _numbered(f"{target}/{ours}", f"{source}.{theirs}")
    for stage, modules in enumerate(config.modules, 2):
        names = [f"{source}.stage{stage}.{i}" for i in range(modules)]
        ours = f"{target}/stage{stage}"
        yield from stacked(*(_exchange(ours, name, stage, config.blocks) for name in names))
    yield from _ocr(f"{target}/ocr", source)


def _unit(target: str, convolved: str, normed: str, *, bias: bool = False) -> Iterator[Entry]:
    yield from conv(f"{target}/conv", convolved, bias=bias)
    yield from norm(f"{target}/norm", normed)


def _numbered(target: str, source: str, *, bias: bool = False) -> Iterator[Entry]:
    """A unit whose convolution and normalisation are the first two of a sequence."""
    yield from _unit(target, f"{source}.0", f"{source}.1", bias=bias)


def _exchange(target: str, source: str, branches: int, blocks: int) -> Iterator[Entry]:
    for i in range(branches):
        for j in range(blocks):
            yield from block(f"{target}/branch{i}_{j}", f"{source}.branches.{i}.{j}", 2)
    for i in range(branches):
        for j in range(branches):
            theirs = f"{source}.fuse_layers.{i}.{j}"
            if j > i:
                yield from _numbered(f"{target}/up{j}_{i}", theirs)
            for k in range(i - j):
                yield from _numbered(f"{target}/down{j}_{i}_{k}", f"{theirs}.{k}")


def _ocr(target: str, source: str) -> Iterator[Entry]:
    yield from _numbered(f"{target}/auxiliary", f"{source}.aux_head", bias=True)
    yield from conv(f"{target}/auxiliary_predict", f"{source}.aux_head.3", bias=True)
    yield from _numbered(f"{target}/reduce", f"{source}.conv3x3_ocr", bias=True)
    head = f"{source}.ocr_distri_head"
    for ours, theirs, i in (
        ("pixel_0", "object_context_block.f_pixel", 0),
        ("pixel_1", "object_context_block.f_pixel", 2),
        ("region_0", "object_context_block.f_object", 0),
        ("region_1", "object_context_block.f_object", 2),
        ("down", "object_context_block.f_down", 0),
        ("up", "object_context_block.f_up", 0),
        ("merge", "conv_bn_dropout", 0),
    ):
        yield from _unit(f"{target}/{ours}", f"{head}.{theirs}.{i}", f"{head}.{theirs}.{i + 1}.0")
    yield from conv(f"{target}/predict", f"{source}.cls_head", bias=True)
