"""Releases of JAX that compute wrong results without an error, and the warning about them."""

import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Fault(NamedTuple):
    """One release that is known to be wrong.

    Attributes:
      package: its distribution, as `pip` calls it.
      version: the release.
      wrong: what it gets wrong, and where that was reported.
      instead: what to install.
    """

    package: str
    version: str
    wrong: str
    instead: str

    def __str__(self) -> str:
        return (
            f"{self.package} {self.version} computes wrong results: {self.wrong}. "
            f"Install {self.instead}"
        )


KNOWN = (
    Fault(
        "jaxlib",
        "0.10.2",
        "on CPU, compiled matrix-vector products under vmap that a reduction follows "
        "(github.com/jax-ml/jax/issues/39103)",
        "another release, e.g. pip install jax==0.10.1 jaxlib==0.10.1",
    ),
)


def installed_faults() -> list[Fault]:
    """The known faults of what is installed; reads versions and imports nothing."""
    return [fault for fault in KNOWN if _installed(fault.package) == fault.version]


def warn_of_known_faults() -> None:
    """Warns once of each known fault of what is installed; for the import of the package."""
    for fault in installed_faults():
        warnings.warn(str(fault), stacklevel=2)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
