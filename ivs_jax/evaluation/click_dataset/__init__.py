"""Click benchmarks on disk, each in the layout that it was published in."""

from ivs_jax.evaluation.click_dataset.layouts import LAYOUTS, open_click_dataset
from ivs_jax.evaluation.click_dataset.masks import read_click_mask
from ivs_jax.evaluation.click_dataset.samples import ClickDataset, ClickSample

__all__ = ["LAYOUTS", "ClickDataset", "ClickSample", "open_click_dataset", "read_click_mask"]
