"""The objects of a run: a click data set on disk, or samples in memory."""

from collections import Counter
from collections.abc import Iterable

from ivs_jax.evaluation.click_dataset import ClickDataset, ClickSample


class SampleList:
    """Samples in memory, with what a run asks of a `ClickDataset`; names must be unique."""

    name = "unnamed"
    skipped: tuple[tuple[str, str], ...] = ()

    def __init__(self, samples: Iterable[ClickSample]) -> None:
        self._samples = [ClickSample(*sample) for sample in samples]
        self.names = tuple(sample.name for sample in self._samples)
        for name, count in Counter(self.names).items():
            if count > 1:
                raise ValueError(f"object name {name!r} occurs twice, expected unique names")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> ClickSample:
        return self._samples[index]


Samples = ClickDataset | SampleList


def as_samples(dataset: ClickDataset | Iterable[ClickSample]) -> Samples:
    """`dataset`, or samples in memory as one."""
    return dataset if isinstance(dataset, ClickDataset) else SampleList(dataset)
