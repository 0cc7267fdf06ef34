"""The query string, read in order."""

from __future__ import annotations

from urllib.parse import parse_qsl

from weighbridge.domain.errors import InvalidInputError

MAX_PARAMETERS = 1000
"""More than any question needs; each costs time before the handler can refuse it."""


def parse_query(query_string: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values in order, percent-decoded as UTF-8 (what is none becomes U+FFFD), `+` as space.

    InvalidInputError: more than MAX_PARAMETERS, or a NUL character, which no store can hold.
    """
    if not query_string:
        return ()
    text = query_string.decode("utf-8", "replace")
    try:
        pairs = tuple(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_PARAMETERS))
    except ValueError:
        msg = f"more than {MAX_PARAMETERS} query parameters"
        raise InvalidInputError(msg) from None
    if "%00" in text or "\0" in text:
        for name, value in pairs:
            if "\0" in name or "\0" in value:
                msg = "a query parameter holds a NUL character"
                raise InvalidInputError(msg, where=name.replace("\0", "\ufffd"))
    return pairs
