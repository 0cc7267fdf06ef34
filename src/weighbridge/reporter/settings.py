"""What the middleware is told: arguments, then WEIGHBRIDGE_* variables, then defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

URL, KEY, APP, ENVIRONMENT = "WEIGHBRIDGE_URL", "WEIGHBRIDGE_KEY", "WEIGHBRIDGE_APP", "WEIGHBRIDGE_ENVIRONMENT"
DEFAULT_APP = 1
DEFAULT_ENVIRONMENT = "prod"
DEFAULT_INTERVAL_S = 60
"""Freshness against rows: each endpoint and consumer that was met costs a row an interval."""
SLOT_S = 300
"""The server's slots; intervals that divide them lie in one slot each, so that nothing is spread by guess."""
MAX_NAME = 255
"""Longest name that the server takes, in characters."""

_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where usage goes, and as whose. `repr` shows no key."""

    url: str
    key: str
    subject: str
    environment: str
    interval_s: int

    def __repr__(self) -> str:
        return f"Settings({self.subject} to {origin(self.url)})"


def read_settings(
    variables: Mapping[str, str],
    *,
    url: str | None = None,
    key: str | None = None,
    app_id: int | None = None,
    environment: str | None = None,
    interval_s: int = DEFAULT_INTERVAL_S,
) -> Settings | None:
    """The settings; None where neither argument nor variable says a URL, so that nothing is metered.

    ValueError: one of them cannot be right. Better at the start than a month without figures.
    """
    url = url or variables.get(URL)
    if not url:
        return None
    key = key or variables.get(KEY) or ""
    app = str(app_id or variables.get(APP) or DEFAULT_APP)
    environment = environment or variables.get(ENVIRONMENT) or DEFAULT_ENVIRONMENT
    _check_url(url)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"no usable key for {origin(url)}: give one with the scope ingest as `key` or in {KEY}")
    if not _NUMBER.fullmatch(app):
        raise ValueError(f"app {app!r} is not the number of an app in the catalog; give one such as 1 as `app_id` or in {APP}")
    if not is_text(environment, MAX_NAME):
        raise ValueError(f"environment {environment[:40]!r} is no name of at most {MAX_NAME} printable characters")
    if not 1 <= interval_s <= SLOT_S or SLOT_S % interval_s:
        raise ValueError(f"interval_s {interval_s!r} does not divide {SLOT_S} seconds; give one such as {DEFAULT_INTERVAL_S}")
    return Settings(url.rstrip("/"), key, f"app/{app}", environment, interval_s)


def origin(url: str) -> str:
    """The part of a URL that may stand in a log: no user, no password, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_text(text: str, longest: int) -> bool:
    """Whether the server takes it as a name or a path: not empty, not too long, no control character, no lone surrogate."""
    return 0 < len(text) <= longest and (text.isprintable() or not _CONTROL.search(text))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = -1
    if port == -1 or parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or " " in url:
        raise ValueError(f"the URL of the server cannot be right; give one such as http://127.0.0.1:8080 as `url` or in {URL}")
