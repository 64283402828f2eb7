"""`ivs eval`: the protocols of the field, on data sets in their own layout."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import subcommand

from ivs_jax.cli.evaluate.compare import COMPARE_EXAMPLES, Compare
from ivs_jax.cli.evaluate.drawn import DRAWN_EXAMPLES, Drawn
from ivs_jax.cli.evaluate.interactive import INTERACTIVE_EXAMPLES, Interactive
from ivs_jax.cli.evaluate.noc import NOC_EXAMPLES, Noc
from ivs_jax.cli.evaluate.vos import VOS_EXAMPLES, Vos


@dataclass(frozen=True)
class Evaluate:
    protocol: (
        Annotated[Noc, subcommand("noc", description=NOC_EXAMPLES)]
        | Annotated[Compare, subcommand("compare", description=COMPARE_EXAMPLES)]
        | Annotated[Vos, subcommand("vos", description=VOS_EXAMPLES)]
        | Annotated[Drawn, subcommand("drawn", description=DRAWN_EXAMPLES)]
        | Annotated[Interactive, subcommand("interactive", description=INTERACTIVE_EXAMPLES)]
    )

    def run(self) -> int:
        return self.protocol.run()
