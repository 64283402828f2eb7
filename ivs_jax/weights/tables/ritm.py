"""RITM (experiments/ritm.md): the layers of the clicks, and HRNet with OCR."""

from functools import partial

from ivs_jax.models.hrnet import SMALL, HRNetConfig
from ivs_jax.weights.table import Entry, Table, conv, table
from ivs_jax.weights.tables.hrnet import hrnet


def _ritm(config: HRNetConfig) -> Table:
    return table(
        conv("mix", "maps_transform.0", bias=True),
        conv("mix_stem", "maps_transform.2", bias=True),
        iter([Entry("params/mix_scale", ("maps_transform.3.scale",))]),
        hrnet("body", "feature_extractor", config),
    )


# The names are the same for all widths.
ritm, ritm_small = partial(_ritm, HRNetConfig()), partial(_ritm, SMALL)
