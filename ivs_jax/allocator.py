"""Memory that is given back to the system has to be fetched again, page by page.

A call of a compiled program frees its scratch memory, hundreds of megabytes for a gradient. The C
library of Linux hands blocks of that size back to the system at once, and the next call pays for
every page anew: a fifth of the time of one evaluation in BRS (`ivs bench brs`, outside its loop).
A program whose work is many calls does better to keep them.
"""

import ctypes
import sys

# Numbers of glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Makes this process keep memory that it frees, for its next use; returns whether it does.

    For programs, at their start (before threads): the setting is one of the whole process. It does
    nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # Large blocks come from the heap too, there is one heap, and its free end is not returned.
    settings = ((_MMAP_MAX, 0), (_ARENA_MAX, 1), (_TRIM_THRESHOLD, 2**31 - 1))
    return all([library.mallopt(number, value) == 1 for number, value in settings])
