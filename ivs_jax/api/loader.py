"""How predictors come to their networks: a function from a video to an engine, and its options."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ivs_jax.session import Engine, Frames

EngineLoader = Callable[..., Engine]


def default_loader() -> EngineLoader:
    """The networks that ship with the package."""
    from ivs_jax.session.build import load_engine

    return load_engine


def engine_loader(
    load: EngineLoader | None, options: Mapping[str, Any], *, caller: str
) -> Callable[[Frames], Engine]:
    """`load`, or the default loader, with its options. `caller` names the class in errors.

    Raises TypeError for an option that the loader does not have, before anything is loaded.
    """
    load = default_loader() if load is None else load
    if not callable(load):
        raise TypeError(
            f"{caller}: load_engine is {load!r}, expected a function from a video to an engine; "
            "networks are named by keyword: model='click-small'"
        )
    parameters = list(inspect.signature(load).parameters.values())[1:]
    legal = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    unknown = [name for name in options if name not in legal]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise TypeError(
            f"{caller} has no option {unknown[0]!r}, expected one of {', '.join(legal) or 'none'}"
        )
    return partial(load, **options)
