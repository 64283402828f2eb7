"""`ivs bench models`: a network against the same one in PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ivs_jax.cli.bench.figures import show_figures

MODELS = "A frame of stm-resnet50 at 480 x 864 against the same network in PyTorch, on CPU."


@dataclass(frozen=True)
class Models:
    against: Literal["torch"] = "torch"
    """Reference."""
    out: Path | None = None
    """JSON file for the figures."""

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
        return show_figures(self.out, title, lines, [found._asdict() | {"ratio": found.ratio}])
