"""Published checkpoints -> our weights, with every tensor accounted for."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from ivs_jax.models import model_named, variable_shapes
from ivs_jax.weights.table import LAYOUTS, Entry, Table
from ivs_jax.weights.tables import TABLES


def convert(name: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """Variables `{"params", "batch_stats"}` of the model `name`, float32.

    `arrays` are all tensors of a published checkpoint (`read_checkpoints`), in its own layout.
    Raises ValueError naming the tensor that is missing, left over, of another shape or not finite.
    """
    table = table_of(name)
    _check_names(name, table, arrays)
    model = model_named(name)
    expected = traverse_util.flatten_dict(variable_shapes(model), sep="/")
    targets = {entry.target for entry in table.entries}
    if targets != expected.keys():
        raise ValueError(f"the table of {name} does not fit: {sorted(targets ^ expected.keys())}")
    flat = {e.target: _converted(e, arrays, expected[e.target].shape) for e in table.entries}
    return traverse_util.unflatten_dict(flat, sep="/")


def table_of(name: str) -> Table:
    """The table of a published network; ValueError for one that has no published checkpoint."""
    if name not in TABLES:
        legal = ", ".join(sorted(TABLES))
        raise ValueError(f"{name!r} has no published checkpoint; those that have: {legal}")
    return TABLES[name]()


def _check_names(name: str, table: Table, arrays: Mapping[str, np.ndarray]) -> None:
    wanted = {source for entry in table.entries for source in entry.sources}
    known = wanted | table.constants.keys()
    ignored = [re.compile(pattern) for pattern in table.ignored]
    left_over = {key for key in arrays.keys() - known if not any(p.search(key) for p in ignored)}
    for problem, keys in (("is missing", wanted - arrays.keys()), ("is left over", left_over)):
        if keys:
            more = f", and {len(keys) - 1} more" if len(keys) > 1 else ""
            more += _guess(name, arrays)
            raise ValueError(f"not {name}: tensor {min(keys)} {problem}{more}")
    for key, value in table.constants.items():
        found = arrays.get(key, value)
        if found.shape != value.shape or not np.allclose(found, value, atol=1e-6):
            raise ValueError(f"{key} is {np.ravel(found)}, expected {np.ravel(value)}")


def _guess(name: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Names the network that the tensors look like, if it is another one."""

    def likeness(make: Callable[[], Table]) -> float:
        wanted = {source for entry in make().entries for source in entry.sources}
        return len(wanted & arrays.keys()) / len(wanted | arrays.keys())

    best = max(TABLES, key=lambda other: likeness(TABLES[other]))
    if best == name or likeness(TABLES[best]) < 0.5:
        return ""
    return f"; it looks like {best}"


def _converted(
    entry: Entry, arrays: Mapping[str, np.ndarray], expected: tuple[int, ...]
) -> np.ndarray:
    found = [np.asarray(arrays[source], np.float32) for source in entry.sources]
    label = " and ".join(entry.sources)
    for source, value in zip(entry.sources, found, strict=True):
        if not np.isfinite(value).all():
            raise ValueError(f"tensor {source} holds values that are not finite")
    try:
        result = LAYOUTS[entry.layout](*found)
    except (ValueError, IndexError):
        result = None
    if result is None or result.shape != expected:
        shapes = " and ".join(str(value.shape) for value in found)
        raise ValueError(
            f"tensor {label} is {shapes}, which does not give {entry.target} {expected}"
        )
    return np.ascontiguousarray(result)
