"""The access logs of AWS: Application Load Balancers (tokens with spaces between), CloudFront (tabs, and a header).

Sources: AWS, "Access logs for your Application Load Balancer", and "Standard logging reference" of CloudFront.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.log.lines import Line, Plan, csv_reader, first_of, read_amount
from weighbridge.sources.log.rules import HOST, BadLineError
from weighbridge.sources.log.text import count_tokens, split_tokens, unescape
from weighbridge.sources.log.times import find_shape

if TYPE_CHECKING:
    from weighbridge.sources.log.lines import Wanted

ALB: Final = (
    "type", "time", "elb", "client:port", "target:port", "request_processing_time", "target_processing_time",
    "response_processing_time", "elb_status_code", "target_status_code", "received_bytes", "sent_bytes", "request",
    "user_agent", "ssl_cipher", "ssl_protocol", "target_group_arn", "trace_id", "domain_name", "chosen_cert_arn",
    "matched_rule_priority", "request_creation_time", "actions_executed", "redirect_url", "error_reason",
    "target:port_list", "target_status_code_list", "classification", "classification_reason", "conn_trace_id",
    "transformed_host", "transformed_uri", "request_transform_status",
)
"""Fields of a load balancer's line in their order; older lines end sooner, newer ones may go on."""
ALB_LEAST: Final = 13
"""Fields that every line of a load balancer has: up to `request`."""
CLOUDFRONT: Final = (
    "date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status", "cs(Referer)",
    "cs(User-Agent)", "cs-uri-query", "cs(Cookie)", "x-edge-result-type", "x-edge-request-id", "x-host-header", "cs-protocol",
    "cs-bytes", "time-taken", "x-forwarded-for", "ssl-protocol", "ssl-cipher", "x-edge-response-result-type",
    "cs-protocol-version", "fle-status", "fle-encrypted-fields", "c-port", "time-to-first-byte",
    "x-edge-detailed-result-type", "sc-content-type", "sc-content-len", "sc-range-start", "sc-range-end",
)
"""Fields of CloudFront in the order of its standard logs; used until a `#Fields` line says otherwise."""
MAX_FIELDS: Final = 200
"""Most fields of a `#Fields` line."""
_HOSTS = ("x-host-header", "cs(Host)")
"""What the viewer asked for, else the distribution's own name."""
_TIMESTAMPS = ("timestamp", "timestamp(ms)")


class AlbFormat:
    """Lines of an Application Load Balancer. InvalidInputError: a field is wanted that it does not have."""

    odd = b"\0\r\\"
    separator = b" "
    ascii_only = True
    nested = False

    def __init__(self, wanted: Wanted) -> None:
        self._names = tuple(None if name == HOST else _place_of(name) for name in wanted.names)
        self._request = wanted.request

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""
        least = split_tokens(line, ALB_LEAST, more=True)
        if least is None:
            raise BadLineError("no line of an Application Load Balancer")
        count = count_tokens(line) if any(at is not None and at >= ALB_LEAST for at in self._names) else 0
        tokens = split_tokens(line, count) if count else least
        tokens = tokens or least
        get = dict(zip(ALB, tokens, strict=False))
        names = tuple("" if at is None or at >= len(tokens) else self.value(tokens[at]) for at in self._names)
        return Line(
            get["time"],
            read_amount(get["received_bytes"], "received_bytes"),
            read_amount(get["sent_bytes"], "sent_bytes"),
            names,
            ("", "", get["request"] if self._request else ""),
        )

    def plan(self, sample: str) -> Plan | None:
        """How DuckDB reads lines like this one. None: it cannot, or the line is no such line."""
        count = count_tokens(sample)
        shape = find_shape(self.read(sample).time)
        if count < ALB_LEAST or shape is None:
            return None
        get = {name: f"c{at}" for at, name in enumerate(ALB)}
        return Plan(
            reader=csv_reader(count, " ", '"'),
            time=(get["time"],),
            shape=shape,
            bytes_in=get["received_bytes"],
            bytes_out=get["sent_bytes"],
            names=tuple("''" if at is None or at >= count else f"c{at}" for at in self._names),
            request=("''", "''", get["request"]) if self._request else None,
        )

    def value(self, text: str | None) -> str:
        """The value of a text that DuckDB found."""
        return unescape(text or "")

    unescape = staticmethod(unescape)


def _place_of(name: str) -> int:
    try:
        return ALB.index(name.removeprefix("$"))
    except ValueError:
        raise InvalidInputError(
            f"lines of a load balancer have no {name}; they have {', '.join('$' + each for each in ALB)}", where=name
        ) from None


class CloudFrontFormat:
    """Lines of CloudFront whose fields are those of a `#Fields` line. A field that it lacks is empty."""

    odd = b"\0\r"
    separator = b"\t"
    ascii_only = True
    nested = False

    def __init__(self, wanted: Wanted, fields: tuple[str, ...] = CLOUDFRONT) -> None:
        self._wanted = wanted
        self._at = {name: at for at, name in reversed(tuple(enumerate(fields)))}
        self._count = len(fields)
        time = ("date", "time") if {"date", "time"} <= set(self._at) else (first_of(_TIMESTAMPS, self._at),)
        self._time = tuple(name for name in time if name is not None)
        self._in = "cs-bytes" if "cs-bytes" in self._at else None
        self._out = "sc-bytes" if "sc-bytes" in self._at else None
        self._names = tuple((first_of(_HOSTS, self._at) or "") if name == HOST else name[1:] for name in wanted.names)

    def after(self, header: str) -> CloudFrontFormat:
        """The format of the lines behind a header line: `#Version`, which says nothing, or `#Fields`, which names them."""
        word, _, names = header.partition(":")
        fields = tuple(names.split())
        if word != "#Fields" or not fields or len(fields) > MAX_FIELDS:
            return self
        return CloudFrontFormat(self._wanted, fields)

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""
        values = line.split("\t")
        if len(values) != self._count:
            raise BadLineError(f"{len(values)} fields instead of the {self._count} of #Fields")
        if not self._time:
            raise BadLineError("#Fields names no date and time")
        get = {name: values[at] for name, at in self._at.items()}
        names = tuple(self.value(get.get(name)) for name in self._names)
        request = ("cs-method", "cs-uri-stem") if self._wanted.request else ()
        method, uri = (get.get(name, "") for name in request) if request else ("", "")
        return Line(
            " ".join(get[name] for name in self._time) + self._zone(),
            read_amount(get[self._in], self._in) if self._in else None,
            read_amount(get[self._out], self._out) if self._out else None,
            names,
            (method, uri, ""),
        )

    def _zone(self) -> str:
        """Dates and times are UTC."""
        return " Z" if len(self._time) > 1 else ""

    def plan(self, sample: str) -> Plan | None:
        """How DuckDB reads lines like this one. None: it cannot, or the line is no such line."""
        shape = find_shape(self.read(sample).time)
        if shape is None:
            return None
        get = {name: f"c{at}" for name, at in self._at.items()}
        return Plan(
            reader=csv_reader(self._count, "\t", ""),
            time=(*(get[name] for name in self._time), *(("'Z'",) if self._zone() else ())),
            shape=shape,
            bytes_in=get[self._in] if self._in else None,
            bytes_out=get[self._out] if self._out else None,
            names=tuple(get.get(name, "''") for name in self._names),
            request=(get.get("cs-method", "''"), get.get("cs-uri-stem", "''"), "''") if self._wanted.request else None,
        )

    def value(self, text: str | None) -> str:
        """The value of a text that DuckDB found."""
        return self.unescape(text or "")

    @staticmethod
    def unescape(text: str) -> str:
        """What was logged, without the percent-encoding that CloudFront adds to the viewer's."""
        return unquote(text, errors="surrogateescape") if "%" in text else text
