"""From the rows of a file to events as `POST /api/v1/events` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from weighbridge.cli.failures import WrongUsageError
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import parse_instant, rfc3339, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVELOPE = ("id", "source", "type", "subject", "time")
NUMBERS = (
    "bytes_in",
    "bytes_out",
    "requests",
    "duration_s",
    "bytes_in_total",
    "bytes_out_total",
    "counter_bits",
    "line_rate_bps",
)
TEXTS = ("environment", "consumer", "method", "path", "counter", "since")
FIELDS = (*ENVELOPE, *NUMBERS, *TEXTS)
"""Names that a column can have."""
IGNORED = ("specversion", "datacontenttype", "dataschema")
"""Parts of a CloudEvents envelope that say nothing about usage."""
_TYPES = {"usage": "weighbridge.usage", "reading": "weighbridge.reading"}


class WrongRowError(ValueError):
    """The row is no event; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How rows become events: which column is which field, and what stands where a row says nothing.

    `digest` is that of the file's content: with the number of the row it is the id of a row that has none.
    """

    digest: str
    renamed: dict[str, str]
    skipped: tuple[str, ...]
    defaults: dict[str, str]
    time_zone: str = "UTC"

    def check_columns(self, columns: Sequence[str]) -> None:
        """WrongUsageError for a column that is no field, with the nearest, and for one that comes twice."""
        fields = [self._field(column) for column in columns]
        for column, field in zip(columns, fields, strict=True):
            if field is not None and field not in FIELDS and field not in IGNORED:
                raise WrongUsageError(unknown_column(column))
            if field is not None and fields.count(field) > 1:
                raise WrongUsageError(f"two columns are {field!r}; say which one is left out with --skip COLUMN")
        needed = [name for name in ("subject", "time") if name not in fields and name not in self.defaults]
        if needed:
            raise WrongUsageError(
                f"no column {needed[0]!r}; name the one that it is with --map COLUMN={needed[0]}"
                + (", or give --subject" if needed[0] == "subject" else "")
            )

    def event(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        """The event of a row, whether flat or a whole CloudEvent. WrongRowError."""
        inner = values.get("data")
        if isinstance(inner, dict):
            values = {**{name: value for name, value in values.items() if name != "data"}, **inner}
        found: dict[str, Any] = dict(self.defaults)
        for column, value in values.items():
            field = self._field(column)
            if field is None or field in IGNORED or value is None:
                continue
            if field not in FIELDS:
                raise WrongRowError(unknown_column(column))
            found[field] = value
        return self._shaped(found, number)

    def _field(self, column: str) -> str | None:
        if column in self.skipped:
            return None
        return self.renamed.get(column, column.strip().lower())

    def _shaped(self, found: dict[str, Any], number: int) -> dict[str, Any]:
        for name in ("subject", "time"):
            if name not in found:
                raise WrongRowError(f"no {name}")
        data: dict[str, Any] = {name: _number(found[name]) for name in NUMBERS if name in found}
        data |= {name: found[name] for name in TEXTS if name in found}
        if "since" in data:
            data["since"] = self._instant(data["since"])
        is_reading = "bytes_in_total" in data or "bytes_out_total" in data
        type_ = str(found.get("type", "reading" if is_reading else "usage"))
        return {
            "specversion": "1.0",
            "id": str(found.get("id") or f"{self.digest}-{number}"),
            "source": found["source"],
            "type": _TYPES.get(type_, type_),
            "subject": found["subject"],
            "time": self._instant(found["time"]),
            "data": data,
        }

    def _instant(self, written: object) -> str:
        """The instant as RFC 3339; what has its offset goes through as it is, for the server to judge."""
        text = str(written).strip()
        if text.endswith(("Z", "z")) and len(text) >= 20:  # noqa: PLR2004  2025-12-14T16:00:00Z
            return text
        try:
            at_us = parse_instant(text, zone(self.time_zone))
        except InvalidInputError as error:
            raise WrongRowError(f"time: {error.detail}") from error
        return _rfc3339_us(at_us)


def _rfc3339_us(at_us: int) -> str:
    """The instant in UTC with its fraction of a second."""
    at_s, fraction_us = divmod(at_us, 1_000_000)
    whole = rfc3339(at_s)
    return f"{whole[:-1]}.{fraction_us:06d}Z" if fraction_us else whole


def unknown_column(column: str) -> str:
    """What to do about a column that is no field."""
    near = get_close_matches(column.lower(), FIELDS, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return (
        f"the column {column!r} is no field of an event{hint}; say which it is (--map {column}=FIELD) or leave it out "
        f"(--skip {column}); fields are {', '.join(FIELDS)}"
    )


def _number(value: object) -> object:
    """Whole numbers as such; anything else as it is, for the server to refuse by name."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) <= 20:  # noqa: PLR2004  2^64 has 20 digits
            return int(text)
    return value
