"""The whole application over a folder, in this process."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from weighbridge.app.build import Application
from weighbridge.app.clock import SystemClock
from weighbridge.app.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = "test-admin-key-0123456789"


@contextmanager
def application_in(folder: Path, clock=None, **flags) -> Iterator[Application]:
    """An application without host collector and rate limits; no job runs by itself: call `fold()` after sending."""
    environment = {"WEIGHBRIDGE_ADMIN_KEY": ADMIN, "PATH": os.environ.get("PATH", "")}
    settings, _ = load({"data": str(folder), "no_host": "true", "rate_limits": "off", **flags}, environment, folder.parent)
    application = Application(settings, clock or SystemClock())
    try:
        yield application
    finally:
        application.stop()
