"""Reads the files that data sets are published as; every error is a ValueError naming the file."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from ivs_jax.io.images import to_rgb


def by_stem(folder: Path) -> dict[str, Path]:
    """The files of a folder by their stem, in the order of the stems; hidden ones are left out."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise ValueError(f"{path}: same name as {found[path.stem].name}, expected one a name")
        found[path.stem] = path
    return found


def listing(folder: Path) -> str:
    """What is in a folder, for a message: some of the names in it."""
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:6] + ["..."] * (len(names) > 6)) or "an empty folder"


def read_image(path: Path) -> Image.Image:
    """The decoded file."""
    try:
        with Image.open(path) as file:
            file.load()
            return file.copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def read_values(path: Path) -> np.ndarray:
    """The stored values of a grey or palette image, `[H, W]` int32."""
    return index_values(read_image(path), path)


def index_values(image: Image.Image, where: object) -> np.ndarray:
    """The values of a grey or palette image, `[H, W]` int32; a ValueError starts with `where`."""
    values = np.asarray(image)
    if values.ndim == 3:
        values = to_rgb(image)
        if (values != values[..., :1]).any():
            raise ValueError(f"{where}: expected a grey or index mask, found colours")
        values = values[..., 0]
    return values.astype(np.int32)


def read_names(path: Path) -> list[str]:
    """The first word of every line, each once: how data sets list the images of a split."""
    if not path.is_file():
        raise ValueError(f"{path}: no such list")
    lines = path.read_text(encoding="utf-8").splitlines()
    names = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
    if not names:
        raise ValueError(f"{path}: the split is empty, expected a name a line")
    return names


def read_gtinst(file: Path) -> np.ndarray:
    """Instance ids `[H, W]` of one of SBD's `inst/*.mat`: `GTinst.Segmentation`, ids from 1."""
    try:
        found = loadmat(file, variable_names=["GTinst"])["GTinst"]["Segmentation"][0, 0]
    except Exception as error:  # SciPy raises a dozen kinds, down to AttributeError, on torn files
        raise ValueError(f"{file}: no readable GTinst.Segmentation ({error!r})") from error
    if found.ndim != 2 or found.dtype.kind not in "ui":
        raise ValueError(
            f"{file}: GTinst.Segmentation is {found.shape} {found.dtype}, expected [H, W] integers"
        )
    return np.asarray(found)
