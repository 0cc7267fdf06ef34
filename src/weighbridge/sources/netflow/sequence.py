"""Sequence numbers: what went missing between an exporter and here, told apart from reordering and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weighbridge.sources.netflow.streams import Stream

NUMBERS: Final = 2**32
MAX_GAP: Final = {5: 3_000_000, 9: 100_000, 10: 3_000_000}
"""Numbers missing at once, flows or for version 9 datagrams: some hundred MB of them. More is another counting."""
LATE: Final = {5: 30_000, 9: 1_000, 10: 30_000}
"""By how many numbers a datagram may come late; further back is a counting that began anew."""
LATE_MS: Final = 10_000
"""By how much an uptime may lie before the last one, for its datagram may be late."""
CLOCK_STEP_MS: Final = 600_000
"""By how much an exporter's clock may be set while its uptime wraps."""


def follow(stream: Stream, sequence: int, steps: tuple[int, ...]) -> tuple[str, int]:
    """What a number says: ("", 0) all is well, ("lost", how many), ("out_of_order", 1) or ("restarts", 1).

    `steps`: by how much this datagram may move the numbers. The first is what its version says. Exporters differ: softflowd
    1.1.0 leaves records of options out, and numbers a datagram of IPFIX after it has counted it instead of before.
    """
    if stream.expected is None:
        _move(stream, sequence, steps)
        return "", 0
    ahead = (sequence - stream.expected) % NUMBERS
    since_last = (ahead + stream.steps[0]) % NUMBERS
    if since_last in stream.steps or since_last in steps:
        _move(stream, sequence, steps)
        return "", 0
    version = stream.key.version
    if 0 < ahead <= MAX_GAP[version]:
        _move(stream, sequence, steps)
        return "lost", ahead
    if NUMBERS - ahead <= LATE[version]:
        return "out_of_order", 1
    _move(stream, sequence, steps)
    return "restarts", 1


def _move(stream: Stream, sequence: int, steps: tuple[int, ...]) -> None:
    stream.steps = steps
    stream.expected = (sequence + steps[0]) % NUMBERS


def has_restarted(stream: Stream, uptime_ms: int, export_us: int) -> bool:
    """Whether an exporter's uptime began anew since the last datagram of this stream. Remembers what it is now.

    Uptime is 32 bits of milliseconds and wraps after 49.7 days: then the moment of the boot, which it is told against, is
    still the same.
    """
    last_ms, last_us = stream.uptime_ms, stream.export_us
    is_behind = uptime_ms < last_ms
    moved_ms = ((export_us - last_us) // 1_000 - (uptime_ms - last_ms) + NUMBERS // 2) % NUMBERS - NUMBERS // 2
    if is_behind and last_ms - uptime_ms <= LATE_MS:
        return False  # late: the newest stays
    stream.uptime_ms, stream.export_us = uptime_ms, export_us
    may_have_wrapped = last_ms > NUMBERS // 2 and abs(moved_ms) <= CLOCK_STEP_MS
    return is_behind and not may_have_wrapped
