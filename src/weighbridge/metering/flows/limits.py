"""Bounds of flows."""

from __future__ import annotations

SETTLED_AFTER_S = 70 * 60
"""How old a slot's end is when nothing more is expected for it: a collector takes times up to an hour before the receipt,
and hands in some minutes later. Before that slots are neither compacted nor corrected. What comes later all the same (an
agent was cut off) still counts."""
MAX_AMOUNT = 2**53 - 1
"""Most bytes, packets or flows of one flow sum once multiplied, 240 terabits a second: beyond it the sum is refused as
nonsense, and sums of 500 rows stay within 64 bits."""
ROWS_AT_ONCE = 2_000_000
"""Most flow sums that come in under one id, 400 MB on the way: twice what a tally holds when the server was away from it for
long, which a test sees to. A minute of traffic is some thousands."""
