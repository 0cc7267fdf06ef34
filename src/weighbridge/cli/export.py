"""`weighbridge export`."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from weighbridge.cli.asking import GROUP_KEYS, filter_options, range_options
from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.failures import CommandError, WrongUsageError
from weighbridge.cli.instants import read_range
from weighbridge.cli.output import note
from weighbridge.cli.progress import progress_bar
from weighbridge.domain.timegrid import WINDOWS, floor, parse_instant, rfc3339, windows, zone
from weighbridge.domain.units import SLOT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from weighbridge.cli.client import Client

FORMATS = ("csv", "ndjson", "parquet")
ROWS_A_REQUEST = 50_000
"""Rows that one answer should hold: some 4 MB of CSV."""
FIRST_WINDOWS = 50
"""Windows of the first request, which tells how many groups there are."""
NUMBERS = ("app", "environment", "consumer", "space", "bytes_in", "bytes_out", "requests")
"""Columns of whole numbers; the others are texts."""
SQL_MEMORY = "256MB"


@click.command("export")
@range_options("30d")
@click.option("--window", type=click.Choice(WINDOWS), default="1d", show_default=True, help="Length of a row.")
@click.option(
    "--group-by", metavar="KEYS", help=f"A row for each of these, separated by commas: {', '.join(GROUP_KEYS)}."
)
@filter_options()
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="File [default: stdout]."
)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="[default: by the suffix of FILE, else csv]")
@client_options
@example("weighbridge export --from 2025-01-01 --to 2026-01-01 --window 1h --group-by server --output 2025.parquet")
def command(
    *,
    from_: str,
    to: str,
    time_zone: str,
    window: str,
    group_by: str | None,
    output: Path | None,
    format_: str | None,
    url: str | None,
    key: str | None,
    data: str | None,
    **filters: str | None,
) -> None:
    """Write usage rows of any range as CSV, NDJSON or Parquet.

    The range is asked for piece by piece, so it may be as long as you like. FILE is there when it is complete.
    """
    chosen = format_ or _format_of(output)
    if chosen == "parquet" and output is None:
        raise WrongUsageError("Parquet is not for a terminal; name a file with --output")
    start, end = read_range(from_, to, time_zone)
    span = floor(_epoch_s(start), SLOT_S), floor(_epoch_s(end), SLOT_S)
    query = {"window": window, "time_zone": time_zone, "group_by": group_by, **filters}
    with connect(url, key, data) as client, progress_bar("Exporting", note=True) as tell:
        pages = _pages(client, query, span, tell)
        count = _write_parquet(pages, output) if chosen == "parquet" and output else _write_text(pages, chosen, output)
    note(f"{count:,} rows" + (f" in {output}" if output else ""))


def _format_of(output: Path | None) -> str:
    suffix = output.suffix.lower() if output else ".csv"
    found = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}.get(suffix)
    if found is None:
        raise WrongUsageError(f"{output}: its name does not tell its format; give --format {'|'.join(FORMATS)}")
    return found


def _epoch_s(instant: str) -> int:
    return parse_instant(instant, zone("UTC")) // 1_000_000


def _pages(
    client: Client, query: Mapping[str, str | None], span: tuple[int, int], tell: Callable[[int, int, str], None]
) -> Iterator[list[list[str]]]:
    """Rows of the span, cell by cell, in pages of about ROWS_A_REQUEST; the first page begins with the header."""
    at_s, end_s = span
    count, size = 0, FIRST_WINDOWS
    while True:
        starts = _starts(at_s, end_s, str(query["window"]), str(query["time_zone"]), size)
        stop_s = starts[size] if len(starts) > size else end_s
        answer = client.send(
            "GET",
            "/api/v1/usage",
            {"from": rfc3339(at_s), "to": rfc3339(stop_s), **query},
            headers={"Accept": "text/csv"},
        )
        rows = list(csv.reader(io.StringIO(answer.text, newline="")))
        yield rows if at_s == span[0] else rows[1:]
        count += len(rows) - 1
        groups = max(1, (len(rows) - 1) // max(min(size, len(starts)), 1))
        size = max(1, ROWS_A_REQUEST // groups)
        at_s = stop_s
        tell(at_s - span[0], max(end_s - span[0], 1), f"{count:,} rows")
        if at_s >= end_s:
            return


def _starts(start_s: int, end_s: int, window: str, time_zone: str, least: int) -> list[int]:
    """Starts of the windows from `start_s` on, more than `least` of them if there are so many before `end_s`."""
    tz = zone(time_zone)
    length_s = {"5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 90_000, "1mo": 32 * 86400}.get(window)
    until_s = end_s if length_s is None else min(end_s, start_s + (least + 2) * length_s)
    return [each.start_s for each in windows(start_s, until_s, window, tz)]


def _write_text(pages: Iterator[list[list[str]]], format_: str, output: Path | None) -> int:
    """All rows are written as CSV or NDJSON; how many."""
    count, header = -1, list[str]()
    with _target(output) as file:
        writer = csv.writer(file, lineterminator="\n")
        for rows in pages:
            count += len(rows)
            header = header or rows[0]
            if format_ == "csv":
                writer.writerows(rows)
                continue
            for row in rows[1:] if count == len(rows) - 1 else rows:
                file.write(
                    json.dumps({name: _typed(name, cell) for name, cell in zip(header, row, strict=True)}) + "\n"
                )
    return count


def _typed(name: str, cell: str) -> str | int | None:
    if cell == "":
        return None
    return int(cell) if name in NUMBERS else cell


@contextmanager
def _target(output: Path | None) -> Iterator[IO[str]]:
    """A file that takes its name when it is complete; stdout without one."""
    if output is None:
        yield sys.stdout
        return
    scratch = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            yield file
        scratch.replace(output)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)


def _write_parquet(pages: Iterator[list[list[str]]], output: Path) -> int:
    """All rows are in the Parquet file; how many. They pass through a CSV file beside it, so memory stays small."""
    import duckdb  # noqa: PLC0415  only for Parquet; it takes as long to import as everything else

    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".weighbridge-") as folder:
        between, scratch = Path(folder) / "rows.csv", Path(folder) / "rows.parquet"
        count = _write_text(pages, "csv", between)
        with between.open(encoding="utf-8") as file:
            header = next(csv.reader(file))
        types = {name: "BIGINT" if name in NUMBERS else "VARCHAR" for name in header}
        columns = ", ".join(
            f'CAST("{name}" AS TIMESTAMPTZ) AS "{name}"' if name in ("start", "end") else f'"{name}"' for name in header
        )
        try:
            with duckdb.connect(config={"memory_limit": SQL_MEMORY, "threads": 1}) as connection:
                connection.execute(
                    f"COPY (SELECT {columns} FROM read_csv(?, header = true, columns = {types})) "  # noqa: S608  our names
                    f"TO '{str(scratch).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)",
                    [str(between)],
                )
        except duckdb.Error as error:
            raise CommandError(f"cannot write {output}: {error}") from error
        scratch.replace(output)
    return count
