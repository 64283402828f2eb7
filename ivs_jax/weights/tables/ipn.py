"""IPN: `I_e290.pth` and `P_e290.pth`, read together; their tensors get the prefixes I. and P."""

from collections.abc import Iterator, Sequence

from ivs_jax.weights.table import Entry, Table, conv, table
from ivs_jax.weights.tables.resnet import imagenet_constants, resnet
from ivs_jax.weights.tables.stm import residual

STAGES = ("res2", "res3", "res4", "res5")


def ipn() -> Table:
    """Both checkpoints of the official code."""
    return table(
        _encoder("interaction_encoder", "I.Encoder", ("conv1_m", "conv1_p", "conv1_n")),
        _decoder("interaction_decoder", "I.Decoder", ("ResFM",)),
        _encoder("propagation_encoder", "P.Encoder", ("conv1_m", "conv1_x")),
        _decoder("propagation_decoder", "P.Decoder", ("ResFM1", "ResFM2")),
        conv("aggregation/reduce", "P.SEFA.fc1", bias=True, layout="dense"),
        conv("aggregation/expand", "P.SEFA.fc2", bias=True, layout="dense"),
        constants=imagenet_constants("I.Encoder", "P.Encoder"),
        prefixes=("I.", "P."),
    )


def _encoder(target: str, source: str, extra: Sequence[str]) -> Iterator[Entry]:
    """Only the kernel of the mask, the first of `extra`, has a bias."""
    return resnet(target, source, layers=STAGES, extra=extra, extra_bias=True)


def _decoder(target: str, source: str, blocks: Sequence[str]) -> Iterator[Entry]:
    for i, name in enumerate(blocks, 1):
        yield from residual(f"{target}/ResFM{i}", f"{source}.{name}", projects=True)
    for name in ("RF4", "RF3", "RF2"):
        # The skip at stride 4 has the width of the decoder already.
        projects = name != "RF2"
        yield from residual(f"{target}/{name}/ResFS", f"{source}.{name}.ResFS", projects=projects)
        yield from residual(f"{target}/{name}/ResMM", f"{source}.{name}.ResMM")
    for name in ("pred5", "pred4", "pred3", "pred2"):
        yield from conv(f"{target}/{name}", f"{source}.{name}", bias=True)
