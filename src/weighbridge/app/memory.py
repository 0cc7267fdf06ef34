"""Memory that is free inside the process goes back to the system, where the C library can do that (glibc)."""

from __future__ import annotations

import ctypes
import gc


def settle() -> None:
    """What start-up left is kept out of garbage collection for good, and what it freed is given back."""
    gc.collect()
    gc.freeze()
    give_back()


def unsettle() -> None:
    """Everything can be collected again: native libraries report what is alive at the end of the process as leaked."""
    gc.unfreeze()
    gc.collect()


def give_back() -> None:
    """Freed pages are the system's again: after a large answer or import they would stay ours for ever."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
