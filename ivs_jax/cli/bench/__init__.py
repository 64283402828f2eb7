"""`ivs bench`: how fast, against a named reference in the same run."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import subcommand

from ivs_jax.cli.bench.brs import BRS, Brs
from ivs_jax.cli.bench.conv import CONV, Conv
from ivs_jax.cli.bench.input import INPUT, Input
from ivs_jax.cli.bench.memory import MEMORY, Memory
from ivs_jax.cli.bench.models import MODELS, Models
from ivs_jax.cli.bench.rounds import ROUNDS, Rounds
from ivs_jax.cli.bench.training import TRAINING, Training


@dataclass(frozen=True)
class Bench:
    what: (
        Annotated[Conv, subcommand("conv", description=CONV)]
        | Annotated[Input, subcommand("input", description=INPUT)]
        | Annotated[Memory, subcommand("memory", description=MEMORY)]
        | Annotated[Models, subcommand("models", description=MODELS)]
        | Annotated[Brs, subcommand("brs", description=BRS)]
        | Annotated[Rounds, subcommand("rounds", description=ROUNDS)]
        | Annotated[Training, subcommand("training", description=TRAINING)]
    )

    def run(self) -> int:
        return self.what.run()
