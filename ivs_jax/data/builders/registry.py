"""The builders by name. Their modules, and with them TFDS, are imported when one is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivs_jax.data.builders.base import Builder

# name -> module and class
BUILDERS = {
    "sbd": ("sbd", "Sbd"),
    "grabcut": ("grabcut", "GrabCut"),
    "berkeley": ("berkeley", "Berkeley"),
    "davis2016": ("davis2016", "Davis2016"),
    "davis2017": ("davis2017", "Davis2017"),
    "youtube_vos": ("youtube_vos", "YoutubeVos"),
    "voc": ("voc", "Voc"),
    "coco": ("coco", "Coco"),
    "images": ("images", "Images"),
    "saliency": ("images", "Saliency"),
    "clips": ("clips", "Clips"),
}


def builder_class(name: str) -> "type[Builder]":
    """Raises ValueError for an unknown name and where TFDS is not installed."""
    if name not in BUILDERS:
        raise ValueError(f"no data set {name!r}, expected one of {', '.join(BUILDERS)}")
    module, cls = BUILDERS[name]
    try:
        return getattr(import_module(f"ivs_jax.data.builders.{module}"), cls)
    except ModuleNotFoundError as error:
        raise ValueError(f"data sets need {error.name}: pip install 'ivs_jax[data]'") from error
