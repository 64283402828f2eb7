"""`ivs info`: versions, devices, places."""

import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from ivs_jax.known_faults import installed_faults

PACKAGES = ("ivs_jax", "jax", "jaxlib", "flax", "optax", "numpy", "av", "pillow")


SIDE = 640  # 640 x 640 has as many pixels as a frame of 480p


@dataclass(frozen=True)
class Info:
    models: bool = False
    """List all networks: parameters, operations of a 480p frame, licence of published weights."""

    def run(self) -> int:
        if self.models:
            return _list_networks()
        import jax

        from ivs_jax.cache import enable_compilation_cache
        from ivs_jax.cli.show import print_table

        folder = enable_compilation_cache()
        devices = [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices()]
        rows = [
            *((name, _version(name)) for name in PACKAGES),
            ("python", platform.python_version()),
            ("system", f"{platform.platform()}, {os.cpu_count()} cores"),
            ("devices", ", ".join(devices)),
            ("compilation cache", _described(folder)),
            *(("known fault", str(fault)) for fault in installed_faults()),
            *_models(),
        ]
        print_table("ivs info", rows)
        return 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _described(folder: Path | None) -> str:
    if folder is None:
        return "off: its folder cannot be written (set IVS_CACHE)"
    sizes = [path.stat().st_size for path in folder.glob("*") if path.is_file()]
    return f"{folder} ({len(sizes)} files, {sum(sizes) / 2**20:.1f} MiB)"


def _list_networks() -> int:
    import jax
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from ivs_jax.models import MODELS, flops, variable_shapes

    table = Table(title="networks", title_justify="left", title_style="bold", box=SIMPLE)
    for column in ("name", "answers", "parameters", "GFLOP", "weights", "licence"):
        numbers = column in ("parameters", "GFLOP")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for name, model in track(MODELS.items(), "counting", console=Console(stderr=True)):
        shapes = variable_shapes(model)
        count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        answers = {"click": "clicks", "propagation": "masks", "both": "both"}[model.kind]
        source = model.published
        weights = ("convert", source.licence) if source else ("ship", "see card")
        giga = f"{flops(model, shapes, SIDE) / 1e9:.0f}"
        table.add_row(name, answers, f"{count / 1e6:.1f} M", giga, *weights)
    table.caption = (
        f"GFLOP: multiplications and additions for one object at {SIDE} x {SIDE}, the pixels of "
        "480p. Published weights do not ship: see ivs convert --help."
    )
    Console().print(table)
    return 0


def _models() -> list[tuple[str, str]]:
    """Every model whose weights ship: its name, number of parameters, size, file."""
    from safetensors import safe_open

    found = []
    for path in sorted(Path(str(files("ivs_jax") / "weights" / "released")).glob("*.safetensors")):
        with safe_open(path, framework="numpy") as weights:
            count = sum(math.prod(weights.get_slice(k).get_shape()) for k in weights.keys())
        size = path.stat().st_size / 2**20
        text = f"{count:,} parameters, {size:.1f} MiB, {path}"
        found.append((f"model {path.stem}", text))
    return found or [("models", "no weights are installed")]
