"""Files to rows to events."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from weighbridge.cli.events import Mapping, WrongRowError
from weighbridge.cli.failures import CommandError, WrongUsageError
from weighbridge.cli.reading import MAX_LINE_BYTES, columns_of, digest_of, format_of, rows_of

PLAIN = Mapping("d", {}, (), {"source": "import"})


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def values(path: Path, format_: str, delimiter: str | None = None) -> list[tuple[int, int, Any]]:
    return [(row.number, row.line, row.fault or row.values) for row in rows_of(path, format_, delimiter)]


@pytest.mark.parametrize(
    ("name", "named", "expected"),
    [
        ("a.csv", None, "csv"),
        ("a.TSV", None, "csv"),
        ("a.csv.gz", None, "csv"),
        ("a.ndjson", None, "ndjson"),
        ("a.jsonl.gz", None, "ndjson"),
        ("a.parquet", None, "parquet"),
        ("a.txt", "csv", "csv"),
    ],
)
def test_formats(name: str, named: str | None, expected: str) -> None:
    assert format_of(Path(name), named) == expected


@pytest.mark.parametrize("name", ["a", "a.txt", "a.gz"])
def test_a_name_that_tells_no_format(name: str) -> None:
    with pytest.raises(WrongUsageError, match="--input-format"):
        format_of(Path(name), None)


@pytest.mark.parametrize(
    ("content", "delimiter", "expected"),
    [
        (b"a,b\n1,2\n", None, [(1, 2, {"a": "1", "b": "2"})]),
        (b"\xef\xbb\xbfa;b\r\n1;2,5\r\n", None, [(1, 2, {"a": "1", "b": "2,5"})]),
        (b"a\tb\n1\t\n\n3\t4\n", None, [(1, 2, {"a": "1"}), (2, 4, {"a": "3", "b": "4"})]),
        (b"a, b \n1,2", None, [(1, 2, {"a": "1", "b": "2"})]),
        (b'a,b\n"x,\ny",2\n3,4\n', None, [(1, 3, {"a": "x,\ny", "b": "2"}), (2, 4, {"a": "3", "b": "4"})]),
        (
            b"a,b\n1\n1,2,3\n4,5\n",
            None,
            [
                (1, 2, "1 cells where the header has 2"),
                (2, 3, "3 cells where the header has 2"),
                (3, 4, {"a": "4", "b": "5"}),
            ],
        ),
        (b'a,b\n"x"y,2\n4,5\n', None, [(1, 2, "not CSV: ',' expected after '\"'"), (2, 3, {"a": "4", "b": "5"})]),
        (b"a,b|c\n1,2|3\n", "|", [(1, 2, {"a,b": "1,2", "c": "3"})]),
        (b"a,b\n", None, []),
        (b"", None, []),
    ],
)
def test_csv(content: bytes, delimiter: str | None, expected: list[Any], tmp_path: Path) -> None:
    assert values(written(tmp_path / "a.csv", content), "csv", delimiter) == expected


def test_a_header_that_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", b'"a"b,c\n1,2\n')
    for read in (columns_of, values):
        with pytest.raises(CommandError, match="no header"):
            read(path, "csv", None)


def test_ndjson(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ndjson", b'{"a":1}\n\n[1]\n{"a":\n{"a":2}')
    found = values(path, "ndjson")
    assert [(number, line) for number, line, _ in found] == [(1, 1), (2, 3), (3, 4), (4, 5)]
    assert found[0][2] == {"a": 1}
    assert found[1][2].startswith("not a JSON object: ")
    assert found[2][2].startswith("not a JSON object: ")
    assert found[3][2] == {"a": 2}


def test_gzip_and_what_is_no_gzip(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n1,2\n")
    assert values(written(tmp_path / "a.csv.gz", content), "csv") == [(1, 2, {"a": "1", "b": "2"})]
    for broken in (b"plain", content[:-9]):
        with pytest.raises(CommandError):
            values(written(tmp_path / "b.csv.gz", broken), "csv")


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_lines_have_a_bound(format_: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"a\n" + b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(CommandError, match="longer than"):
        values(path, format_)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.sql(
        "SELECT 'server/sv_1' AS subject, TIMESTAMPTZ '2025-12-14 17:00:00.5+01' AS \"time\", 5::UBIGINT AS bytes_in, "
        "7.0::DOUBLE AS bytes_out, NULL::BIGINT AS requests UNION ALL "
        "SELECT 'server/sv_2', TIMESTAMPTZ '2025-12-14 16:00:00+00', 18446744073709551615::UBIGINT, 1, 3"
    ).write_parquet(str(path))
    assert columns_of(path, "parquet", None) == ["subject", "time", "bytes_in", "bytes_out", "requests"]
    first, second = (PLAIN.event(row.number, row.values) for row in rows_of(path, "parquet", None))
    assert first["time"] == "2025-12-14T16:00:00.500000Z"
    assert first["data"] == {"bytes_in": 5, "bytes_out": 7}
    assert second["data"] == {"bytes_in": 2**64 - 1, "bytes_out": 1, "requests": 3}


def test_what_is_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        columns_of(written(tmp_path / "a.parquet", b"nothing of the kind"), "parquet", None)


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", b"x" * 3_000_000), written(tmp_path / "two", b"x" * 3_000_000)
    assert digest_of(one) == digest_of(two)
    assert digest_of(one) != digest_of(written(tmp_path / "three", b"x" * 2_999_999 + b"y"))


ROW = {"subject": "server/sv_1", "time": "2025-12-14T16:00:00Z", "bytes_in": "1"}
EVENT = {
    "specversion": "1.0",
    "id": "d-7",
    "source": "import",
    "type": "weighbridge.usage",
    "subject": "server/sv_1",
    "time": "2025-12-14T16:00:00Z",
    "data": {"bytes_in": 1},
}


@pytest.mark.parametrize(
    ("mapping", "row", "changes"),
    [
        (PLAIN, ROW, {}),
        (PLAIN, {**ROW, "id": "e-1", "source": "edge"}, {"id": "e-1", "source": "edge"}),
        (PLAIN, {**ROW, "id": 5, "Type": "usage"}, {"id": "5"}),
        (PLAIN, {**ROW, "time": "2025-12-14 16:00"}, {"time": "2025-12-14T16:00:00Z"}),
        (
            Mapping("d", {}, (), {"source": "import"}, "Asia/Kathmandu"),
            {**ROW, "time": "2025-12-14T21:45:00.25"},
            {"time": "2025-12-14T16:00:00.250000Z"},
        ),
        (
            Mapping("d", {"ts": "time"}, ("note",), {"source": "s", "subject": "space/1"}),
            {"ts": "2025-12-14T16:00:00Z", "note": "x", "bytes_in": 1},
            {"source": "s", "subject": "space/1"},
        ),
        (
            PLAIN,
            {"subject": "server/sv_1", "time": "2025-12-14T16:00:00Z", "bytes_in_total": "9", "since": "2025-12-14"},
            {"type": "weighbridge.reading", "data": {"bytes_in_total": 9, "since": "2025-12-14T00:00:00Z"}},
        ),
        (PLAIN, {**EVENT, "id": "e-1", "datacontenttype": "application/json"}, {"id": "e-1"}),
        (
            PLAIN,
            {**ROW, "bytes_in": "1.5", "requests": 2.0, "bytes_out": "-1"},
            {"data": {"bytes_in": "1.5", "bytes_out": "-1", "requests": 2}},
        ),
        (
            PLAIN,
            {**ROW, "environment": "prod", "consumer": "7", "method": "GET", "path": "/", "requests": None},
            {"data": {"bytes_in": 1, "environment": "prod", "consumer": "7", "method": "GET", "path": "/"}},
        ),
    ],
)
def test_events(mapping: Mapping, row: dict[str, Any], changes: dict[str, Any]) -> None:
    assert mapping.event(7, row) == {**EVENT, **changes}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"time": "2025-12-14T16:00:00Z"}, "no subject"),
        ({"subject": "space/1"}, "no time"),
        ({**ROW, "time": "noon"}, "time: "),
        ({**ROW, "byte_in": 1}, "did you mean bytes_in"),
        ({**ROW, "since": "x"}, "time: "),
    ],
)
def test_rows_that_are_no_events(row: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongRowError, match=why):
        PLAIN.event(7, row)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (["subject", "time", "byte_in"], "did you mean bytes_in"),
        (["subject", "ts"], "--map ts=FIELD"),
        (["subject"], "no column 'time'"),
        (["time"], "give --subject"),
        (["subject", "time", "Time"], "--skip"),
    ],
)
def test_columns_that_are_told_before_anything_is_sent(columns: list[str], why: str) -> None:
    with pytest.raises(WrongUsageError, match=why):
        PLAIN.check_columns(columns)
