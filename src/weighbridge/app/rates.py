"""Rate limits as an operator set them, by route name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.http.route import RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weighbridge.app.config import Settings
    from weighbridge.http.route import Dialect


def rates_of(settings: Settings, dialects: list[Dialect]) -> Mapping[str, RateLimit]:
    """The limit of every limited route of the vendors' dialects, from the settings."""
    chosen = {
        "latitude": RateLimit(settings.latitude_calls_per_min, 60),
        "apitally": RateLimit(settings.apitally_calls_per_min, 60),
        "storyblok": RateLimit(settings.storyblok_calls_per_s, 1),
        "altostrat": RateLimit(settings.altostrat_calls_per_min, 60),
    }
    return {
        route.name: chosen[dialect.name]
        for dialect in dialects
        if dialect.name in chosen
        for route in dialect.routes
        if route.rate is not None
    }
