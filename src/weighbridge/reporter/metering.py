"""What a Meter of either kind is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weighbridge.reporter.complaints import Complaints
from weighbridge.reporter.dimensions import Dimensions
from weighbridge.reporter.settings import read_settings
from weighbridge.reporter.templates import watch_django
from weighbridge.reporter.worker import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Metering:
    """Who counts, who names, and the mark by which a Meter further in sees that it is not needed."""

    reporter: Reporter
    dimensions: Dimensions
    mark: str


def prepare(
    app: Any,  # noqa: ANN401  any ASGI or WSGI callable
    consumer: Callable[[Any], str | None] | None,
    *,
    url: str | None,
    key: str | None,
    app_id: int | None,
    environment: str | None,
    interval_s: int,
) -> Metering | None:
    """How this app is metered; None without a URL. Nothing runs before the first request. ValueError: wrong settings."""
    settings = read_settings(os.environ, url=url, key=key, app_id=app_id, environment=environment, interval_s=interval_s)
    if settings is None:
        return None
    watch_django(app)
    complaints = Complaints()
    reporter = Reporter(settings, complaints=complaints)
    return Metering(reporter, Dimensions(settings.environment, consumer, complaints), f"weighbridge.{settings.subject}")
