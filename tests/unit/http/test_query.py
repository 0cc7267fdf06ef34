from __future__ import annotations

import pytest

from weighbridge.domain.errors import InvalidInputError
from weighbridge.http.query import MAX_PARAMETERS, parse_query


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"", ()),
        (b"a=1&b=2&a=3", (("a", "1"), ("b", "2"), ("a", "3"))),
        (
            b"filter%5Bdate%5D%5Bgte%5D=2025-01-01T00%3A00%3A00%2B05%3A00",
            (("filter[date][gte]", "2025-01-01T00:00:00+05:00"),),
        ),
        (b"t=2025-01-01T00:00:00+05:00", (("t", "2025-01-01T00:00:00 05:00"),)),
        (b"a=", (("a", ""),)),
        (b"a", (("a", ""),)),
        (b"a=1=2", (("a", "1=2"),)),
        (b"a=%FF&b=%zz&c=\xff", (("a", "\ufffd"), ("b", "%zz"), ("c", "\ufffd"))),
        (b"a=1;b=2", (("a", "1;b=2"),)),
    ],
)
def test_reads_in_order(raw: bytes, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_query(raw) == pairs


@pytest.mark.parametrize("raw", [b"a=%00", b"a=x%00y&b=1", b"%00=1", b"a=\0"])
def test_nul_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInputError, match="NUL"):
        parse_query(raw)


def test_the_number_of_parameters_is_bounded() -> None:
    assert len(parse_query(b"&".join([b"a=1"] * MAX_PARAMETERS))) == MAX_PARAMETERS
    with pytest.raises(InvalidInputError, match="more than"):
        parse_query(b"&".join([b"a=1"] * (MAX_PARAMETERS + 1)))
