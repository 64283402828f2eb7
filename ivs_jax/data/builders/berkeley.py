"""Berkeley: 96 images with 100 objects, a click benchmark; a record is one object."""

from ivs_jax.data.builders.encoded import trimap
from ivs_jax.data.builders.images import Images


class Berkeley(Images):
    """The greys of GrabCut; an image with two objects has the masks `NAME#1`, `NAME#2`."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Berkeley.zip of the releases of github.com/saic-vul/fbrs_interactive_segmentation: "
        "images/NAME.jpg and masks/NAME.png."
    )
    RULE = staticmethod(trimap)
    ROOTS = ("", "Berkeley")
    SPLITS = {"test": "images"}
