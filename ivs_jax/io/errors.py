"""Errors of files that come in."""


class VideoError(ValueError):
    """A video, folder of frames or image cannot be used; the message names file and frame."""


class MaskError(ValueError):
    """A mask file cannot be used; the message names the file, what was found and expected."""
