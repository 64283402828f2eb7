"""What is trained: the contract between a system's losses and the trainer that knows no system.

`click`, `stm` and `ipn` hold the tasks; a task is a frozen dataclass of settings. Its methods are
pure functions of their arguments.
"""

from pathlib import Path
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

Tree = Any
Batch = Any
Metrics = dict[str, Array]


class Task(Protocol):
    """Settings of what is trained, and the functions that the trainer calls."""

    @property
    def network(self) -> str:
        """Registered name of the network, see `models.MODELS`."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Learning-rate groups that the network's parameters fall into, without "frozen"."""

    def group(self, path: tuple[str, ...]) -> str:
        """The learning-rate group of the parameter at `path`: one of `groups`, or "frozen"."""

    def initial(self, key: Array, imagenet: Path | None = None) -> Tree:
        """Random variables `{"params", "batch_stats"}` to start from, float32.

        `imagenet` is a file for `training.pretrained.with_imagenet`, which fills the encoders.
        """

    def measured(self, variables: Tree, batch: Batch) -> Tree:
        """Variables whose norms without statistics, still the identity, got those of `batch`.

        To be called once, before the first step of a run that starts from `initial`, with the same
        batch on every process. Statistics that are not the identity stay as they are.
        """

    def example(self, batch: int, rng: np.random.Generator) -> Batch:
        """A batch of `batch` synthetic samples in the shapes that are trained on."""

    def loss(
        self, params: Tree, stats: Tree, batch: Batch, *, key: Array, dtype: Any
    ) -> tuple[Array, Metrics]:
        """Mean over the samples of the batch of the loss of each, float32, and further scalars.

        `params` are in `dtype`, in which the network computes. Random choices that all samples
        share come from `key`, those of a sample from its `batch.seed`; so the means of equal parts
        of a batch have the mean of the whole batch's loss.
        """

    def answer(self, params: Tree, stats: Tree, batch: Batch, *, key: Array) -> Array:
        """The masks that the network gives for a batch, for the pictures of validation.

        Object ids uint8, `[N, S, S]` for stills, `[N, T, S, S]` for clips, made as in `loss`.
        """


def as_input(image: Array | np.ndarray, dtype: Any) -> Array:
    """Frames of uint8 as networks take them: `dtype` in [0, 1]."""
    return (jnp.asarray(image).astype(jnp.float32) / 255).astype(dtype)


def measured_statistics(net: Any, variables: Tree, *inputs: Array) -> Tree:
    """`Task.measured` of a network whose `__call__` takes `inputs`."""
    if "batch_stats" not in variables:
        return variables
    _, found = net.apply(variables, *inputs, mutable=["batch_stats"])
    return {**variables, "batch_stats": found["batch_stats"]}
