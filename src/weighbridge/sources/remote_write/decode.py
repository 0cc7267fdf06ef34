"""Bodies of remote write to series with their samples: prometheus.WriteRequest (1.0), io.prometheus.write.v2.Request (2.0).

Series come one by one, so that only what is wanted of them is held. Metadata, exemplars and native histograms are passed
over; the latter two are counted.

Source: prometheus.io, Remote-Write 1.0 and 2.0 specifications; prompb/types.proto, prompb/io/prometheus/write/v2/types.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.http.wire import (
    BYTES,
    FIXED64,
    VARINT,
    WireError,
    as_int64,
    read_double,
    read_fields,
    read_string,
    read_varint,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEDIA_TYPE: Final = "application/x-protobuf"
V1: Final = "prometheus.WriteRequest"
V2: Final = "io.prometheus.write.v2.Request"

MAX_SAMPLES: Final = 100_000
"""Samples of one body: ten times what senders put into one (Prometheus 2,000, the OpenTelemetry Collector and vmagent up to
10,000). It also bounds series, exemplars and native histograms, each by itself."""
MAX_LABELS: Final = 1_000
"""Labels of one series: Prometheus servers that have a limit put it at some 30."""
MAX_SYMBOLS: Final = 1_000_000
"""Texts in the table of a 2.0 body: 100 MB of memory at worst."""
LABELS_KEPT: Final = 50_000
"""Labels of a 1.0 body that are remembered, since they come again in the next series; forgotten together when full."""
STALE: Final = bytes.fromhex("0200 0000 0000 f07f")
"""The NaN that ends a series: "no value any more", not a value."""

Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """A value at an instant; None is the stale marker. `start_ms`: when the counter began at zero, 0 where nobody says."""

    value: float | None
    at_ms: int
    start_ms: int = 0


class Series(NamedTuple):
    """One series as sent, labels in the sender's order. `histograms` and `exemplars` are numbers of what was passed over."""

    labels: Labels
    samples: list[Sample]
    histograms: int = 0
    exemplars: int = 0


class UnreadableError(Exception):
    """The body cannot be parsed; the sentence says why."""


class UnknownTypeError(Exception):
    """The content type is none that holds one of the two messages."""


class TooManyError(Exception):
    """The body holds more of something than it may; the sentence says of what."""


def message_of(content_type: str) -> str:
    """The name of the message that a Content-Type speaks of: V1 or V2. None at all is 1.0. UnknownTypeError: another."""
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    if not content_type.strip():
        return V1
    if media_type.lower() != MEDIA_TYPE:
        raise UnknownTypeError
    pairs = [each.partition("=") for each in parameters]
    named = [value.strip().strip('"') for key, _, value in pairs if key.strip().lower() == "proto"] or [V1]
    if named not in ([V1], [V2]):
        raise UnknownTypeError
    return named[0]


def read_series(body: bytes, message: str) -> Iterator[Series]:
    """The series of a body. UnreadableError, TooManyError; both can come late, when some were given out already."""
    try:
        yield from READERS[message](body)
    except WireError as error:
        raise UnreadableError(str(error)) from error


_SAMPLE_VALUE, _SAMPLE_AT, _SAMPLE_START = tag(1, FIXED64), tag(2, VARINT), tag(3, VARINT)


def _read_sample(body: bytes, at: int, end: int) -> Sample:
    value: float | None = 0.0
    at_ms = start_ms = 0
    for field, start, past in read_fields(body, at, end):
        if field == _SAMPLE_VALUE:
            value = None if body[start:past] == STALE else read_double(body, start)
        elif field == _SAMPLE_AT:
            at_ms = as_int64(start)
        elif field == _SAMPLE_START:
            start_ms = as_int64(start)
    return Sample(value, at_ms, start_ms)


class _Bounds:
    """Counts what a body holds; TooManyError beyond MAX_SAMPLES of anything."""

    def __init__(self) -> None:
        self._left = dict.fromkeys(("series", "samples", "histograms", "exemplars"), MAX_SAMPLES)

    def take(self, what: str) -> None:
        self._left[what] -= 1
        if self._left[what] < 0:
            raise TooManyError(f"more than {MAX_SAMPLES:,} {what}")


_SERIES_SAMPLES, _SERIES_FIELD_3, _SERIES_FIELD_4 = tag(2, BYTES), tag(3, BYTES), tag(4, BYTES)
_V1_SERIES, _V1_LABELS = tag(1, BYTES), tag(1, BYTES)
_LABEL_NAME, _LABEL_VALUE = tag(1, BYTES), tag(2, BYTES)
_V2_SYMBOLS, _V2_SERIES = tag(4, BYTES), tag(5, BYTES)
_V2_REFS, _V2_REF, _V2_CREATED = tag(1, BYTES), tag(1, VARINT), tag(6, VARINT)


def _read_v1(body: bytes) -> Iterator[Series]:
    bounds, known = _Bounds(), _KnownLabels()
    for field, start, end in read_fields(body, 0, len(body)):
        if field == _V1_SERIES:
            bounds.take("series")
            yield _read_v1_series(body, start, end, known, bounds)
        elif field in (_V2_SYMBOLS, _V2_SERIES):
            raise UnreadableError(f"this is {V2}: the Content-Type must say {MEDIA_TYPE};proto={V2}")


def _read_v1_series(body: bytes, at: int, past: int, known: _KnownLabels, bounds: _Bounds) -> Series:
    labels: list[tuple[str, str]] = []
    samples: list[Sample] = []
    histograms = exemplars = 0
    for field, start, end in read_fields(body, at, past):
        if field == _V1_LABELS:
            labels.append(known.read(body[start:end]))
            if len(labels) > MAX_LABELS:
                raise TooManyError(f"more than {MAX_LABELS:,} labels of one series")
        elif field == _SERIES_SAMPLES:
            bounds.take("samples")
            samples.append(_read_sample(body, start, end))
        elif field == _SERIES_FIELD_3:
            bounds.take("exemplars")
            exemplars += 1
        elif field == _SERIES_FIELD_4:
            bounds.take("histograms")
            histograms += 1
    return Series(tuple(labels), samples, histograms, exemplars)


class _KnownLabels:
    """Labels by their bytes: most of a series' labels stood in the one before."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str]] = {}

    def read(self, raw: bytes) -> tuple[str, str]:
        label = self._known.get(raw)
        if label is None:
            if len(self._known) >= LABELS_KEPT:
                self._known.clear()
            label = self._known[raw] = _read_label(raw)
        return label


def _read_label(raw: bytes) -> tuple[str, str]:
    name = value = ""
    for field, start, end in read_fields(raw, 0, len(raw)):
        if field == _LABEL_NAME:
            name = read_string(raw, start, end)
        elif field == _LABEL_VALUE:
            value = read_string(raw, start, end)
    return name, value


def _read_v2(body: bytes) -> Iterator[Series]:
    symbols: list[str] = []
    spans: list[tuple[int, int]] = []  # the table may end behind the series that refer to it
    bounds = _Bounds()
    for field, start, end in read_fields(body, 0, len(body)):
        if field == _V2_SYMBOLS:
            symbols.append(read_string(body, start, end))
            if len(symbols) > MAX_SYMBOLS:
                raise TooManyError(f"more than {MAX_SYMBOLS:,} symbols")
        elif field == _V2_SERIES:
            bounds.take("series")
            spans.append((start, end))
        elif field == _V1_SERIES:
            raise UnreadableError(f"this is {V1}: the Content-Type must say {MEDIA_TYPE}")
    for start, end in spans:
        yield _read_v2_series(body, start, end, symbols, bounds)


def _read_v2_series(body: bytes, at: int, past: int, symbols: list[str], bounds: _Bounds) -> Series:
    refs: list[int] = []
    samples: list[Sample] = []
    histograms = exemplars = created_ms = 0
    for field, start, end in read_fields(body, at, past):
        if field == _V2_REFS:
            refs += _read_refs(body, start, end)
        elif field == _V2_REF:
            refs.append(start)
        elif field == _SERIES_SAMPLES:
            bounds.take("samples")
            samples.append(_read_sample(body, start, end))
        elif field == _SERIES_FIELD_3:
            bounds.take("histograms")
            histograms += 1
        elif field == _SERIES_FIELD_4:
            bounds.take("exemplars")
            exemplars += 1
        elif field == _V2_CREATED:  # of release candidates; each sample says its own start since
            created_ms = as_int64(start)
        if len(refs) > 2 * MAX_LABELS:
            raise TooManyError(f"more than {MAX_LABELS:,} labels of one series")
    if created_ms:
        samples = [sample if sample.start_ms else sample._replace(start_ms=created_ms) for sample in samples]
    return Series(_labels_of(refs, symbols), samples, histograms, exemplars)


def _read_refs(body: bytes, at: int, end: int) -> list[int]:
    refs: list[int] = []
    while at < end and len(refs) <= 2 * MAX_LABELS:
        ref = body[at]
        at += 1
        if ref & 0x80:
            ref, at = read_varint(body, at - 1, end)
        refs.append(ref)
    return refs


def _labels_of(refs: list[int], symbols: list[str]) -> Labels:
    if len(refs) % 2:
        raise UnreadableError(f"a series has {len(refs)} label references: a name without its value")
    try:
        texts = iter([symbols[ref] for ref in refs])
    except IndexError as error:
        raise UnreadableError(f"a label refers to symbol {max(refs)}; there are {len(symbols)}") from error
    return tuple(zip(texts, texts, strict=True))


READERS: Final[dict[str, Callable[[bytes], Iterator[Series]]]] = {V1: _read_v1, V2: _read_v2}
"""How each of the two messages is read, by its name."""
