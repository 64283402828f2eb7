"""GrabCut: 50 images with one object each, a click benchmark."""

from ivs_jax.data.builders.encoded import trimap
from ivs_jax.data.builders.images import Images


class GrabCut(Images):
    """Masks are trimaps: above 128 the object, 128 void."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "GrabCut.zip of the releases of github.com/saic-vul/fbrs_interactive_segmentation: "
        "data_GT/NAME.jpg and boundary_GT/NAME.bmp."
    )
    IMAGES, MASKS = "data_GT", "boundary_GT"
    RULE = staticmethod(trimap)
    ROOTS = ("", "GrabCut")
    SPLITS = {"test": "data_GT"}
    PARTS = ("data_GT", "boundary_GT")
