"""One table per published network: which of its tensors becomes which of ours."""

from collections.abc import Callable

from ivs_jax.weights.table import Table
from ivs_jax.weights.tables.brs import brs
from ivs_jax.weights.tables.fbrs import fbrs_resnet34, fbrs_resnet50, fbrs_resnet101
from ivs_jax.weights.tables.hrnet import fbrs_hrnet
from ivs_jax.weights.tables.ipn import ipn
from ivs_jax.weights.tables.ritm import ritm, ritm_small
from ivs_jax.weights.tables.stm import stm, stm_interactive

TABLES: dict[str, Callable[[], Table]] = {
    "stm-resnet50": stm,
    "stm-interactive": stm_interactive,
    "ipn": ipn,
    "brs-densenet121": brs,
    "fbrs-resnet34": fbrs_resnet34,
    "fbrs-resnet50": fbrs_resnet50,
    "fbrs-resnet101": fbrs_resnet101,
    "fbrs-hrnet18": fbrs_hrnet,
    "fbrs-hrnet32": fbrs_hrnet,
    "fbrs-hrnet48": fbrs_hrnet,
    "ritm-hrnet18s": ritm_small,
    "ritm-hrnet18": ritm,
    "ritm-hrnet32": ritm,
}
