"""`ivs info`: versions, devices, places."""

import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

PACKAGES = ("ivs_jax", "jax", "jaxlib", "flax", "optax", "numpy", "av", "pillow")


@dataclass(frozen=True)
class Info:
    def run(self) -> int:
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
