"""Where traffic comes from. A new source: a folder here (decode.py pure, the rest I/O), and its line below."""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "events": "CloudEvents over HTTP: POST /api/v1/events",
    "log": "access logs, followed through rotation or read whole",
    "host": "this machine's own interfaces, from the kernel's counters",
}
"""Name → what it brings in. app/build.py starts those that are configured; one that is not costs nothing."""
