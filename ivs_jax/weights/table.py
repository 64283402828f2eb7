"""How the tensors of a published checkpoint become ours: the vocabulary of the tables.

A table has one entry for each of our tensors. The functions here write the entries of a layer;
`tables/` holds one table per network, and `convert` applies them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

Layout = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Entry:
    """One of our tensors.

    Attributes:
      target: its slash-joined name, e.g. "params/query_encoder/stem/kernel".
      sources: names of the published tensors it is made of.
      layout: a key of `LAYOUTS`.
    """

    target: str
    sources: tuple[str, ...]
    layout: str = "same"


@dataclass(frozen=True)
class Table:
    """All entries of a network.

    Attributes:
      entries: one for each of our tensors.
      constants: published tensors that our code holds itself; where a file has them they must have
        these values.
      ignored: regular expressions of further names that may be there and are not needed.
      prefixes: what the names of each checkpoint file get in front, in the order of the files.
    """

    entries: tuple[Entry, ...]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ("",)


def table(
    *parts: Iterator[Entry],
    constants: Mapping[str, np.ndarray] | None = None,
    ignored: Sequence[str] = (),
    prefixes: Sequence[str] = ("",),
) -> Table:
    """Joins the entries of layers to a table."""
    ignored = (r"num_batches_tracked$", *ignored)
    return Table(tuple(chain(*parts)), constants or {}, ignored, tuple(prefixes))


def _conv(*kernels: np.ndarray) -> np.ndarray:
    """`[O, I, kh, kw]`, several of them side by side along I, to `[kh, kw, I, O]`."""
    return np.concatenate(kernels, 1).transpose(2, 3, 1, 0)


def _conv_rgb(kernel: np.ndarray) -> np.ndarray:
    """The first three of all input channels, as a kernel of its own."""
    return _conv(kernel[:, :3])


def _conv_after_rgb(kernel: np.ndarray) -> np.ndarray:
    """The other input channels: click maps, masks."""
    return _conv(kernel[:, 3:])


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    """`[C, 1, kh, kw]` to `[kh, kw, C]`."""
    return kernel[:, 0].transpose(1, 2, 0)


def _dense(kernel: np.ndarray) -> np.ndarray:
    """`[O, I]`, or `[O, I, 1, 1]` of a convolution, to `[I, O]`."""
    return kernel.reshape(kernel.shape[:2]).T


def _deconv(kernel: np.ndarray) -> np.ndarray:
    """`[I, O, kh, kw]` of a transposed convolution to `[I, kh, kw, O]`."""
    return kernel.transpose(0, 2, 3, 1)


def _ratio(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Caffe's running sums over their count, which is 0 before any training."""
    return values / factor if factor.any() else np.zeros_like(values)


LAYOUTS: dict[str, Layout] = {
    "same": lambda values: values,
    "conv": _conv,
    "conv_rgb": _conv_rgb,
    "conv_after_rgb": _conv_after_rgb,
    "depthwise": _depthwise,
    "dense": _dense,
    "deconv": _deconv,
    "ratio": _ratio,
    "stacked same": lambda *values: np.stack(values),
    "stacked conv": lambda *kernels: np.stack([_conv(kernel) for kernel in kernels]),
}


def conv(
    target: str, *sources: str, bias: bool = False, layout: str = "conv", suffix: str = "/kernel"
) -> Iterator[Entry]:
    """A PyTorch convolution or linear layer; several sources are joined along their inputs."""
    yield Entry(f"params/{target}{suffix}", tuple(f"{s}.weight" for s in sources), layout)
    if bias:
        yield Entry(f"params/{target}/bias", (f"{sources[0]}.bias",))


def norm(target: str, source: str) -> Iterator[Entry]:
    """A PyTorch batch normalisation."""
    yield Entry(f"params/{target}/scale", (f"{source}.weight",))
    yield Entry(f"params/{target}/bias", (f"{source}.bias",))
    yield Entry(f"batch_stats/{target}/mean", (f"{source}.running_mean",))
    yield Entry(f"batch_stats/{target}/variance", (f"{source}.running_var",))


def stacked(*copies: Iterator[Entry]) -> Iterator[Entry]:
    """Equal parts of a network whose tensors we hold in one array, along a new first axis."""
    for entries in zip(*copies, strict=True):
        first, sources = entries[0], tuple(chain(*(entry.sources for entry in entries)))
        yield Entry(first.target, sources, f"stacked {first.layout}")
