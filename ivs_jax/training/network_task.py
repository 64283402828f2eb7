"""What tasks of registered networks have in common; see `training.task.Task` for the methods."""

from functools import cached_property
from pathlib import Path
from typing import Any

from jax import Array

from ivs_jax.models import initial_variables, model_named
from ivs_jax.training.groups import group_of
from ivs_jax.training.pretrained import with_imagenet
from ivs_jax.training.task import Tree


class NetworkTask:
    """Builds the network of a task and its first variables."""

    network: str

    @cached_property
    def _net(self) -> Any:
        return model_named(self.network).build()

    def initial(self, key: Array, imagenet: Path | None = None) -> Tree:
        """See `Task`."""
        variables = initial_variables(model_named(self.network), key)
        return with_imagenet(self.network, variables, imagenet) if imagenet else variables


class ClipTask(NetworkTask):
    """A task of a propagation network, whose normalisations stand still, as published."""

    @property
    def groups(self) -> tuple[str, ...]:
        """See `Task`."""
        return "encoder", "decoder"

    def group(self, path: tuple[str, ...]) -> str:
        """See `Task`."""
        return group_of(path, norms=False)
