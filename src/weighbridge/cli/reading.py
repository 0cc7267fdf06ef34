"""Files of events, read one row at a time: CSV, NDJSON and Parquet, the first two also as .gz."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from weighbridge.cli.failures import CommandError, WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FORMATS = ("csv", "ndjson", "parquet")
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
DELIMITERS = (",", ";", "\t", "|")
MAX_LINE_BYTES = 1024 * 1024
"""Longest line of NDJSON, or field of CSV: no event is a hundredth of it, so a longer one is another kind of file."""
DIGEST_BLOCK_BYTES = 1024 * 1024
PARQUET_ROWS = 10_000
"""Rows that are taken from a Parquet file at a time."""
PARQUET_MEMORY = "256MB"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: its number among the data rows (1 and up), the line it ends on, and what stands in it.

    `fault` says why nothing could be read, then `values` is empty. `done_bytes` is how far the file has been read.
    """

    number: int
    line: int
    values: dict[str, Any]
    fault: str | None = None
    done_bytes: int = 0


def format_of(path: Path, named: str | None) -> str:
    """The format of a file: the one that is named, else by its suffix. WrongUsageError if that tells nothing."""
    if named is not None:
        return named
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    found = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise WrongUsageError(f"{path}: its name does not tell its format; give --input-format {'|'.join(FORMATS)}")
    return found


def digest_of(path: Path) -> str:
    """128 bits of the file's content, in hex."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(DIGEST_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def columns_of(path: Path, format_: str, delimiter: str | None) -> list[str] | None:
    """The names of a file's columns; None for NDJSON, whose rows name their own."""
    if format_ == "ndjson":
        return None
    if format_ == "parquet":
        return [name for name, _ in _parquet_columns(path)]
    with _open_text(path) as (text, _):
        return _header(text, path, delimiter)[0]


def rows_of(path: Path, format_: str, delimiter: str | None) -> Iterator[Row]:
    """Every row of the file, those that cannot be read too. CommandError: the file as a whole cannot."""
    reader: Callable[[Path, str | None], Iterator[Row]] = {
        "csv": _csv_rows,
        "ndjson": _ndjson_rows,
        "parquet": _parquet_rows,
    }[format_]
    try:
        yield from reader(path, delimiter)
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise CommandError(f"{path}: {error}") from error


class _Opened:
    """A file as text, and how many of its bytes on disk have been read."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        content = gzip.GzipFile(fileobj=self._raw) if path.suffix.lower() == ".gz" else self._raw
        # Bytes that are no UTF-8 come through as surrogates, which no JSON encoder takes: such rows are refused alone.
        self._text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")

    def __enter__(self) -> tuple[io.TextIOWrapper, Callable[[], int]]:
        return self._text, self._raw.tell

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._raw.close()


def _open_text(path: Path) -> _Opened:
    return _Opened(path)


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines that are left. CommandError: one is too long to be one."""
    while line := text.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES:
            raise CommandError(f"{path}: a line is longer than {MAX_LINE_BYTES} characters; is it the right format?")
        yield line


def _header(text: io.TextIOWrapper, path: Path, delimiter: str | None) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them."""
    line = text.readline(MAX_LINE_BYTES)
    chosen = delimiter or max(DELIMITERS, key=line.count)
    try:
        names = next(csv.reader([line], delimiter=chosen, strict=True), [])
    except csv.Error as error:
        raise CommandError(f"{path}: its first line is no header of CSV: {error}") from error
    return [name.strip() for name in names], chosen


def _csv_rows(path: Path, delimiter: str | None) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    with _open_text(path) as (text, tell):
        names, chosen = _header(text, path, delimiter)
        reader = csv.reader(_lines(text, path), delimiter=chosen, strict=True)
        number = 0
        while True:
            fault, cells = None, list[str]()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"not CSV: {error}"
            if not cells and fault is None:
                continue  # an empty line
            number += 1
            if fault is None and len(cells) != len(names):
                fault = f"{len(cells)} cells where the header has {len(names)}"
            values = {} if fault else {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""}
            yield Row(number, reader.line_num + 1, values, fault, tell())


def _ndjson_rows(path: Path, _delimiter: str | None) -> Iterator[Row]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with _open_text(path) as (text, tell):
        number = line = 0
        for written in _lines(text, path):
            line += 1
            if not written.strip():
                continue
            number += 1
            try:
                yield Row(number, line, decode(written), None, tell())
            except (msgspec.DecodeError, UnicodeEncodeError) as error:
                yield Row(number, line, {}, f"not a JSON object: {error}", tell())


def _connect() -> Any:  # noqa: ANN401  DuckDB's connection
    import duckdb  # noqa: PLC0415  only for Parquet; it takes as long to import as everything else

    return duckdb.connect(
        config={
            "memory_limit": PARQUET_MEMORY,
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def _parquet_columns(path: Path) -> list[tuple[str, str]]:
    """Names and types."""
    import duckdb  # noqa: PLC0415  as above

    with _connect() as connection:
        try:
            found = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        except duckdb.Error as error:
            raise CommandError(f"{path}: {error}") from error
    return [(name, type_) for name, type_, *_ in found]


def _parquet_rows(path: Path, _delimiter: str | None) -> Iterator[Row]:
    import duckdb  # noqa: PLC0415  as above

    columns = _parquet_columns(path)
    with _connect() as connection:
        try:
            cursor = connection.execute(f"SELECT {_plain(columns)} FROM read_parquet(?)", [str(path)])  # noqa: S608  quoted
            names = [name for name, _ in columns]
            number = 0
            while cells_of_rows := cursor.fetchmany(PARQUET_ROWS):
                for cells in cells_of_rows:
                    number += 1
                    values = {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
                    yield Row(number, number, values)
        except duckdb.Error as error:
            raise CommandError(f"{path}: {error}") from error


def _plain(columns: Sequence[tuple[str, str]]) -> str:
    """A select list that gives instants as texts in UTC and numbers without a fraction as whole ones."""
    listed = []
    for name, type_ in columns:
        quoted = '"' + name.replace('"', '""') + '"'
        if type_.startswith(("TIMESTAMP", "DATE")):
            listed.append(f"strftime(make_timestamp(epoch_us({quoted})), '%Y-%m-%dT%H:%M:%S.%fZ')")
        elif type_.startswith(("DECIMAL", "HUGEINT", "UHUGEINT", "UUID")):
            listed.append(f"CAST({quoted} AS VARCHAR)")
        else:
            listed.append(quoted)
    return ", ".join(listed)
