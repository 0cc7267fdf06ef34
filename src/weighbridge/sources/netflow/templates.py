"""Templates as exporters define them, and the sets of bytes in which they do.

Sources: RFC 3954 sections 5.2 and 6.1 (NetFlow 9), RFC 7011 sections 3.4 and 8 (IPFIX).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.sources.netflow.elements import SCOPE
from weighbridge.sources.netflow.layout import Field, Layout, make_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

V9: Final = 9
IPFIX: Final = 10
TEMPLATE_SETS: Final = {V9: (0, 1), IPFIX: (2, 3)}
"""Sets that define templates, and those that define templates of options."""
OPTIONS_SETS: Final = (1, 3)
FIRST_DATA_SET: Final = 256
"""Sets with this number and above hold data; it is the number of their template."""
MAX_FIELDS: Final = 512
"""Fields of one template: probes that export all that they know have about a hundred."""
LAYOUTS_KEPT: Final = 1_024
"""Compiled layouts remembered, by their definition: exporters of one make and version share theirs."""

_PAIR = Struct(">HH")
_THREE = Struct(">HHH")
_ENTERPRISE = Struct(">I")
_KIND = Struct(">BBHH")  # before a definition: version, whether of options, scopes, fields
_ENTERPRISE_BIT: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Template:
    """What the records of one data set are made of, as it was sent: its kind (see _KIND), then its fields."""

    definition: bytes

    @property
    def is_options(self) -> bool:
        """Whether its records tell of the exporter, not of flows."""
        return bool(self.definition[1])

    @property
    def layout(self) -> Layout:
        """How its records are read."""
        return _layout(self.definition)


@lru_cache(LAYOUTS_KEPT)
def _layout(definition: bytes) -> Layout:
    version, _, scopes, count = _KIND.unpack_from(definition)
    fields, _ = _read_fields(version, scopes, count, definition, _KIND.size)
    return make_layout(fields or ())


def make_template(*fields: tuple[int, int]) -> Template:
    """One of flows, of elements and their lengths, that no exporter needs to send."""
    return Template(_KIND.pack(V9, False, 0, len(fields)) + b"".join(_PAIR.pack(*field) for field in fields))  # noqa: FBT003  packed


class Defined(NamedTuple):
    """One record of a template set. `template` None: withdrawn. An id below 256 withdraws all of its kind."""

    id: int
    template: Template | None


class Fault(NamedTuple):
    """A record of a template set, or the rest of one, that defines nothing; `what` is the word that counts it."""

    what: str


def read_templates(version: int, set_id: int, data: bytes) -> Iterator[Defined | Fault]:
    """What a template set defines, in its order; what is cut off, absurd or too large is a Fault."""
    is_options = set_id in OPTIONS_SETS
    head = _THREE.size if is_options else _PAIR.size
    at = 0
    while len(data) - at >= _PAIR.size:
        template_id, count = _PAIR.unpack_from(data, at)
        if version == IPFIX and count == 0 and (template_id >= FIRST_DATA_SET or template_id == set_id):
            yield Defined(template_id, None)
            at += _PAIR.size
            continue
        if template_id < FIRST_DATA_SET:
            if any(data[at:]):  # else it is padding
                yield Fault("malformed_templates")
            return
        if len(data) - at < head:
            yield Fault("truncated_templates")
            return
        scopes, count = _counts(version, data, at, is_options=is_options)
        start = at + head
        fields, at = _read_fields(version, scopes, count, data, start)
        if fields is None:
            yield Fault("truncated_templates")
            return
        definition = _KIND.pack(version, is_options, scopes, count) + data[start:at]
        yield _defined(template_id, fields, count, definition)


def template_of(definition: bytes) -> Template:
    """The template that was kept by its definition. ValueError: it is none."""
    if len(definition) < _KIND.size:
        raise ValueError("the definition of a template is cut off")
    version, _, scopes, count = _KIND.unpack_from(definition)
    fields, end = _read_fields(version, scopes, count, definition, _KIND.size)
    if not fields or end != len(definition) or count > MAX_FIELDS:
        raise ValueError("the definition of a template is damaged")
    return Template(definition)


def _defined(template_id: int, fields: Sequence[Field], count: int, definition: bytes) -> Defined | Fault:
    if count > MAX_FIELDS:
        return Fault("too_many_fields")
    if not any(field.length for field in fields):
        return Fault("empty_templates")  # records of no bytes: a set would hold endless many
    return Defined(template_id, Template(definition))


def _read_fields(
    version: int, scopes: int, count: int, data: bytes, at: int
) -> tuple[tuple[Field, ...] | None, int]:
    """The fields that begin at `at`, MAX_FIELDS at the most, and where they end; None: they are cut off."""
    fields: list[Field] = []
    for number in range(count):
        if len(data) - at < _PAIR.size:
            return None, at
        element, length = _PAIR.unpack_from(data, at)
        at += _PAIR.size
        enterprise = SCOPE if version == V9 and number < scopes else 0
        if version == IPFIX and element & _ENTERPRISE_BIT:
            if len(data) - at < _ENTERPRISE.size:
                return None, at
            enterprise = _ENTERPRISE.unpack_from(data, at)[0]
            at += _ENTERPRISE.size
            element &= ~_ENTERPRISE_BIT
        if number < MAX_FIELDS:
            fields.append(Field(enterprise, element, length))
    return tuple(fields), at


def _counts(version: int, data: bytes, at: int, *, is_options: bool) -> tuple[int, int]:
    """How many fields of the template at `at` are scopes, and how many there are."""
    if not is_options:
        return 0, int(_PAIR.unpack_from(data, at)[1])
    _, first, second = _THREE.unpack_from(data, at)
    if version == IPFIX:
        return second, first
    return first // _PAIR.size, first // _PAIR.size + second // _PAIR.size  # bytes of scopes, bytes of other fields
