"""Video in, masks in and out. Knows no network."""

from .atomic import atomic
from .coco import coco_frame, decode_rle, encode_rle, write_coco_annotations
from .errors import MaskError, VideoError
from .frames import Video, open_video
from .masks import MaskWarning, read_mask, write_object_pngs, write_palette_png, write_rgba
from .overlay import OverlayWriter, contact_sheet, overlay
from .pack import pack_labels, pack_probability, unpack_labels, unpack_probability
from .palette import davis_palette

__all__ = [
    "MaskError",
    "MaskWarning",
    "OverlayWriter",
    "Video",
    "VideoError",
    "atomic",
    "coco_frame",
    "contact_sheet",
    "davis_palette",
    "decode_rle",
    "encode_rle",
    "open_video",
    "overlay",
    "pack_labels",
    "pack_probability",
    "read_mask",
    "unpack_labels",
    "unpack_probability",
    "write_coco_annotations",
    "write_object_pngs",
    "write_palette_png",
    "write_rgba",
]
