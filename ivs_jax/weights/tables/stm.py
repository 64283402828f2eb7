"""STM and STM-Interactive (experiments/papers/stm.md, sections 6 and 7)."""

from collections.abc import Iterator, Sequence

from ivs_jax.weights.table import Entry, Table, conv, table
from ivs_jax.weights.tables.resnet import imagenet_constants, resnet


def stm() -> Table:
    """`STM_weights.pth` of the official code."""
    return _table(("conv1_m", "conv1_o"), ("KV_M_r4", "KV_Q_r4"))


def stm_interactive() -> Table:
    """`e120.pth`; its `conv1_om`, for the other objects' masks, is in the file but never used."""
    ignored = [r"^Encoder_M\.conv1_om\.weight$"]
    stems = ("conv1_m", "conv1_p", "conv1_n")
    return _table(stems, ("KeyValue_M", "KeyValue_Q"), ignored=ignored)


def _table(extra: Sequence[str], kv: tuple[str, str], *, ignored: Sequence[str] = ()) -> Table:
    """`extra` are the memory encoder's stems of further inputs, `kv` the key-value layers."""
    return table(
        resnet("memory_encoder", "Encoder_M", extra=extra),
        resnet("query_encoder", "Encoder_Q"),
        _key_value("memory_kv", kv[0]),
        _key_value("query_kv", kv[1]),
        decoder("decoder", "Decoder"),
        constants=imagenet_constants("Encoder_M", "Encoder_Q"),
        ignored=ignored,
    )


def _key_value(target: str, source: str) -> Iterator[Entry]:
    for name in ("Key", "Value"):
        yield from conv(f"{target}/{name}", f"{source}.{name}", bias=True)


def decoder(target: str, source: str) -> Iterator[Entry]:
    """Decoder of STM; its modules have the published names."""
    yield from conv(f"{target}/convFM", f"{source}.convFM", bias=True)
    yield from residual(f"{target}/ResMM", f"{source}.ResMM")
    for name in ("RF3", "RF2"):
        yield from conv(f"{target}/{name}/convFS", f"{source}.{name}.convFS", bias=True)
        for block in ("ResFS", "ResMM"):
            yield from residual(f"{target}/{name}/{block}", f"{source}.{name}.{block}")
    yield from conv(f"{target}/pred2", f"{source}.pred2", bias=True)


def residual(target: str, source: str, *, projects: bool = False) -> Iterator[Entry]:
    """A `models.layers.ResBlock`; `projects` where its width changes."""
    for name in ("conv1", "conv2", "downsample") if projects else ("conv1", "conv2"):
        yield from conv(f"{target}/{name}", f"{source}.{name}", bias=True)
