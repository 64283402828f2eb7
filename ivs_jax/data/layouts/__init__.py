"""Data sets on disk, one reader a published tree: where the files lie and how masks are read.

Training, evaluation and `ivs data build` all read by these; `published` names the trees.
"""
