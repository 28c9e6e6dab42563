"""How an event loop comes to a standstill: the names that marks, tools and scores share."""

from __future__ import annotations

BLOCKING_CALL = "blocking-call"
COMPUTING = "computing"
COMPUTING_GIL = "computing-gil"
GIL_HOG = "gil-hog"
GC = "gc"
HOST_STARVED = "host-starved"

KINDS = (BLOCKING_CALL, COMPUTING, COMPUTING_GIL, GIL_HOG, GC, HOST_STARVED)
"""A call that waits; computing; computing in one C call that holds the GIL; another thread holds
the GIL; garbage collection; other processes have the processor, which is the fault of no line."""
