"""Published trees as TFDS sets: array_record files, no TensorFlow.

`build` writes a tree of `data.layouts` below `DATA/tfds`, `built` reads what was written.
"""
