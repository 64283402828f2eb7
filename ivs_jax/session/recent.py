"""The last results of a function of arrays, found again by what the arrays hold.

A round asks for the annotated frames of all earlier rounds once more, and each of its two
directions does: what a network says about them does not change.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Recent(Generic[T]):
    """At most `size` results, those asked for last."""

    def __init__(self, size: int):
        self._size = size
        self._results: OrderedDict[bytes, T] = OrderedDict()

    def get(self, inputs: Sequence[np.ndarray], compute: Callable[[], T]) -> T:
        """The result for `inputs`; `compute()` if it is not among the last ones."""
        key = b"".join(sha1(x.tobytes()).digest() + repr(x.shape).encode() for x in inputs)
        found = self._results.pop(key, None)  # one step, so threads may share a network
        self._results[key] = found = compute() if found is None else found
        if len(self._results) > self._size:
            self._results.popitem(last=False)
        return found
