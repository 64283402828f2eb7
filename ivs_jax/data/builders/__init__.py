"""Data sets as TFDS builders: one file a set, array_record files, no TensorFlow.

`registry` names them, `build` writes one below `DATA/tfds`, `built` reads what was written.
"""
