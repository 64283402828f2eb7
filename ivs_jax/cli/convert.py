"""`ivs convert`: the weights of a published checkpoint, for our networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

EXAMPLES = """Convert a published checkpoint: every tensor of it is checked and accounted for.

NAME is a published network of `ivs info --models`; CHECKPOINT its released file (.pth needs
PyTorch: pip install 'ivs_jax[torch]'), or the same tensors as .safetensors.

examples:
  ivs convert stm-resnet50 STM_weights.pth
  ivs convert ipn I_e290.pth P_e290.pth
  ivs convert brs-densenet121 BRS_DenseNet.caffemodel -o brs.safetensors
  ivs segment clip.mp4 --model stm-resnet50 --weights stm-resnet50.safetensors --click 0:1:320,200
"""


@dataclass(frozen=True)
class Convert:
    name: Positional[str]
    """Published network."""
    checkpoint: Positional[tuple[Path, ...]]
    """Its checkpoint file; IPN has two."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """File to write; default: NAME.safetensors."""

    def run(self) -> int:
        import jax
        import numpy as np

        from ivs_jax.cli.show import print_table
        from ivs_jax.models import model_named
        from ivs_jax.weights.checkpoint import read_checkpoints, sha256
        from ivs_jax.weights.convert import convert, table_of
        from ivs_jax.weights.store import save_weights

        out = self.out or Path(f"{self.name}.safetensors")
        if out.suffix != ".safetensors":
            raise ValueError(f"{out}: expected a name that ends in .safetensors")
        table = table_of(self.name)
        arrays = read_checkpoints(self.checkpoint, table.prefixes)
        files = " ".join(str(path) for path in self.checkpoint)
        try:
            variables = convert(self.name, arrays)
        except ValueError as error:
            raise ValueError(f"{files}: {error}") from error
        published = model_named(self.name).published
        assert published is not None  # of every network that has a table
        source = {
            "source": " ".join(path.name for path in self.checkpoint),
            "sha256": " ".join(sha256(path) for path in self.checkpoint),
            "repository": published.repository,
            "licence": published.licence,
        }
        save_weights(out, self.name, variables, dtype=np.float32, source=source)
        count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        rows = [*source.items(), ("parameters", f"{count:,}"), ("weights", str(out))]
        print_table(f"ivs convert {self.name}", rows)
        return 0
