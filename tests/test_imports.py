"""The architecture as tests: imports point one way, nothing heavy at import time, `key` for RNG."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ivs_jax"

# What each part may import besides itself. Parts are the folders and files directly in ivs_jax/;
# "" is ivs_jax/__init__.py, which gathers the public names.
_BASE = {"types", "ops"}
_PLAIN = _BASE | {"interaction", "io"}
_NETWORKS = _PLAIN | {"models", "refine", "weights"}
_SESSION = _NETWORKS | {"session"}
_TRAINING = _BASE | {"cache", "models", "interaction", "io", "data", "weights"}
_CALLERS = _SESSION | {"data"}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "allocator": set(),  # a setting of the process: for the programs that a user starts
    "cache": set(),  # switches on XLA's persistent cache: for the programs that a user starts
    "known_faults": set(),  # reads the versions of other packages
    "ops": {"types"},
    "interaction": set(_BASE),
    "io": set(_BASE),
    "models": set(_BASE),
    "refine": set(_BASE),  # knows no network
    "weights": _BASE | {"io", "models"},
    "session": _NETWORKS | {"cache"},
    "data": set(_PLAIN),
    "training": set(_TRAINING),
    "evaluation": _CALLERS | {"cache"},
    "api": _SESSION | {"cache"},
    "web": _SESSION | {"cache", "api"},
    "bench": _CALLERS | {"cache", "training", "evaluation", "api"},
    "": _CALLERS | {"api", "known_faults"},
    "cli": _CALLERS
    | {"allocator", "cache", "known_faults", "training", "evaluation", "api", "web", "bench", ""},
    "__main__": {"cli"},
}

FRAMEWORKS = {"torch", "tensorflow"}  # optional and slow to import: only inside functions
RNG_NAMES = {
    "rng",
    "rngs",
    "prng",
    "prng_key",
    "rng_key",
    "random_key",
    "random_state",
    "generator",
}


def part_of(module: str) -> str:
    """`ivs_jax.ops.conv` -> `ops`; `ivs_jax` -> ``."""
    return (module.split(".") + [""])[1]


def imported_modules(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Absolute names of all that `module` imports, inside functions too.

    `from a import b` gives `a.b`, because b may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: None if is_package else -1]
                above = above[: len(above) - (node.level - 1)]
                base = ".".join(above + ([base] if base else []))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def python_files(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def back_edges(package: Path, allowed: dict[str, set[str]]) -> list[str]:
    """One line for each import that `allowed` does not allow and each part it does not list."""
    parts = {part_of(module_name(path, package)) for path in python_files(package)}
    found = [
        f"{part}: not in the table of allowed imports" for part in sorted(parts - set(allowed))
    ]
    for path in python_files(package):
        module = module_name(path, package)
        part = part_of(module)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for name in imported_modules(tree, module, is_package=path.name == "__init__.py"):
            if name.split(".")[0] != package.name:
                continue
            # `from ivs_jax import Clicks` takes a public name, not a part, from the root.
            target = part_of(name) if part_of(name) in parts else ""
            if target != part and target not in allowed.get(part, set()):
                found.append(f"{module} imports {name}: {part} may not import {target}")
    return found


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """First components of what is imported when the module is, also under `if` and `try`."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]
        pending.extend(ast.iter_child_nodes(node))


def badly_named_randomness(function: object) -> list[str]:
    """Parameters of a function that carry randomness under another name than `key`."""
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except ValueError:  # a builtin without a signature
        return []
    return [
        p.name
        for p in parameters
        if p.name in RNG_NAMES
        or (p.name != "key" and any(w in str(p.annotation) for w in ("PRNGKey", "Generator[")))
    ]


def test_the_table_has_no_cycle() -> None:
    assert set().union(*ALLOWED.values()) <= set(ALLOWED)
    TopologicalSorter(ALLOWED).prepare()  # raises CycleError


def test_imports_point_one_way() -> None:
    assert back_edges(ROOT / PACKAGE, ALLOWED) == []


@pytest.mark.parametrize(
    ("file", "line", "caught"),
    [
        ("ops/conv.py", "from ivs_jax.types import Clicks", False),
        ("ops/conv.py", "from ivs_jax.models import stm", True),
        ("ops/conv.py", "from ..models.stm import STM", True),
        ("ops/__init__.py", "from ..models import stm", True),
        ("ops/__init__.py", "from .conv import conv", False),
        ("ops/conv.py", "def f():\n    import ivs_jax.models.stm", True),
        ("models/stm.py", "from ivs_jax import ops", False),
        ("models/stm.py", "from ivs_jax import __version__", True),
        ("models/stm.py", "import numpy, jax.numpy", False),
        ("unheard.py", "import numpy", True),
    ],
)
def test_a_back_edge_is_found(tmp_path: Path, file: str, line: str, caught: bool) -> None:
    for name in ("__init__", "types", "ops/__init__", "ops/conv", "models/__init__", "models/stm"):
        path = tmp_path / PACKAGE / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / PACKAGE / file).write_text(line + "\n")
    assert bool(back_edges(tmp_path / PACKAGE, ALLOWED)) is caught


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in python_files(ROOT / PACKAGE)}
    folders |= {above for folder in folders for above in folder.parents if ROOT in above.parents}
    missing = [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()]
    assert missing == []


def test_no_other_framework_at_import_time() -> None:
    for path in python_files(ROOT / PACKAGE):
        heavy = FRAMEWORKS & set(top_level_imports(ast.parse(path.read_text(encoding="utf-8"))))
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy} at its top level"


def test_top_level_imports_are_found_under_try_but_not_in_functions() -> None:
    source = "try:\n    import torch.nn\nexcept ImportError: ...\ndef f():\n    import tensorflow\n"
    assert set(top_level_imports(ast.parse(source))) == {"torch"}


def public_packages() -> list[str]:
    files = sorted((ROOT / PACKAGE).rglob("__init__.py"))
    return [module_name(path, ROOT / PACKAGE) for path in files]


@pytest.mark.parametrize("name", public_packages())
def test_public_names_exist_and_call_randomness_key(name: str) -> None:
    package = importlib.import_module(name)
    for public in getattr(package, "__all__", ()):
        value = getattr(package, public)  # a name in __all__ that does not exist fails here
        if inspect.isfunction(value):
            members = {public: value}
        elif inspect.isclass(value):
            members = {f"{public}.{k}": v for k, v in vars(value).items() if inspect.isfunction(v)}
        else:
            continue
        bad = {member: badly_named_randomness(f) for member, f in members.items()}
        assert not any(bad.values()), f"call it key: { {k: v for k, v in bad.items() if v} }"


def test_a_badly_named_key_is_found() -> None:
    def sample(image: object, *, rng: object, size: int = 3) -> None: ...

    def good(image: object, *, key: object) -> None: ...

    assert badly_named_randomness(sample) == ["rng"]
    assert badly_named_randomness(good) == []
