"""`weighbridge serve`: from settings to a process that ends cleanly."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from weighbridge.app.build import Application
from weighbridge.app.clock import SystemClock
from weighbridge.app.logs import set_up_log
from weighbridge.http.run import serve as serve_http

if TYPE_CHECKING:
    from weighbridge.app.config import Settings


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. StorageError: the data folder is at fault. OSError: the address cannot be had."""
    set_up_log(settings.log_level, settings.log_format)
    application = Application(settings, SystemClock())
    try:
        application.start()
        if application.admin_key.is_new:
            _say(f"Admin key (shown once, kept in {settings.data / 'admin.key'}): {application.admin_key.secret}")
        serve_http(application.app, settings.host, settings.port, on_ready=_announce)
    finally:
        application.stop()


def _announce(url: str) -> None:
    _say(f"Weighbridge listens on {url} (API reference: {url}/api/reference)")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  what a person who starts it needs to see
