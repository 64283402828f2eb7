"""`ivs bench models`: a network against the same one in PyTorch."""

from dataclasses import dataclass
from typing import Literal

from ivs_jax.cli.bench.figures import Figures

MODELS = "A frame of stm-resnet50 at 480 x 864 against the same network in PyTorch, on CPU."


@dataclass(frozen=True)
class Models(Figures):
    against: Literal["torch"] = "torch"
    """Reference."""

    def run(self) -> int:
        from ivs_jax.bench.models import NAME, run_models

        found = run_models()
        lines = [
            ("ivs_jax", f"{found.ours:.2f} s"),
            (f"PyTorch, {found.threads} threads", f"{found.torch:.2f} s"),
            ("ratio", f"{found.ratio:.2f}"),
            ("largest relative difference", f"{found.difference:.1e}"),
        ]
        title = f"{NAME}, a frame of 480 x 864 without the memory"
        return self.show(title, lines, [found._asdict() | {"ratio": found.ratio}])
