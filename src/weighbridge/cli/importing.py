"""`weighbridge import`."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.events import FIELDS, Mapping, WrongRowError
from weighbridge.cli.examples import example
from weighbridge.cli.failures import FAILURE, OK, WrongUsageError
from weighbridge.cli.groups import DefaultGroup
from weighbridge.cli.importing_log import command as log
from weighbridge.cli.output import format_option, note, write
from weighbridge.cli.places import Place, folder_of
from weighbridge.cli.progress import progress_bar
from weighbridge.cli.reading import FORMATS, columns_of, digest_of, format_of, rows_of
from weighbridge.cli.sending import BATCH_BYTES, BATCH_EVENTS, Counts, Refusal, send
from weighbridge.domain.timegrid import zone

if TYPE_CHECKING:
    from typing import IO

    from weighbridge.cli.client import Client
    from weighbridge.cli.reading import Row

_encode = msgspec.json.Encoder().encode
REFUSALS_SHOWN = 10
"""Rejected rows of a file that are shown; --rejects keeps them all."""
UNREADABLE = "invalid"
"""Code of rows that are refused here, before they are sent: the one that the server has for such."""
COLUMNS = ("file", "rows", "accepted", "duplicates", "rejected")


@click.group("import", cls=DefaultGroup, default="events", needs_arguments=True)
@example("weighbridge import events.csv")
def command() -> None:
    """Send what files hold to the server.

    `weighbridge import FILE` alone is `weighbridge import events FILE`.
    """


command.add_command(log)


@command.command("events")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--input-format", type=click.Choice(FORMATS), help="Format of the files [default: by suffix].")
@click.option(
    "--delimiter", metavar="CHARACTER", help="Of CSV [default: the one of , ; tab | that the header has most]."
)
@click.option("--map", "renamed", metavar="COLUMN=FIELD", multiple=True, help="The field that a column is; repeatable.")
@click.option("--skip", "skipped", metavar="COLUMN", multiple=True, help="A column that is left out; repeatable.")
@click.option("--subject", metavar="SUBJECT", help="Subject of rows that name none, such as server/sv_1.")
@click.option("--source", metavar="NAME", default="import", show_default=True, help="Source of rows that name none.")
@click.option("--time-zone", metavar="ZONE", default="UTC", show_default=True, help="Zone of times without an offset.")
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep rejected rows there, as NDJSON with the reason.",
)
@click.option("--restart", is_flag=True, help="Begin at the first row, even if an import of this file was interrupted.")
@format_option
@client_options
@click.pass_context
@example("weighbridge import events.csv --map ts=time --skip note --rejects rejected.ndjson")
def events(
    ctx: click.Context,
    /,
    *,
    files: tuple[Path, ...],
    input_format: str | None,
    delimiter: str | None,
    renamed: tuple[str, ...],
    skipped: tuple[str, ...],
    subject: str | None,
    source: str,
    time_zone: str,
    rejects: Path | None,
    restart: bool,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
) -> None:
    """Send events from CSV, NDJSON or Parquet files (CSV and NDJSON also as .gz).

    Columns: id, source, type, subject, time, bytes_in, bytes_out, requests, duration_s, environment, consumer, method,
    path; of readings also bytes_in_total, bytes_out_total, counter, counter_bits, since, line_rate_bps. A row with a
    total is a reading. Lines of NDJSON may be whole CloudEvents too.

    A row without an id gets one from the file's content and its number, so importing a file again counts nothing twice;
    a file that was changed is another file. An interrupted import goes on where it was. Exit code 1 if a row was
    rejected.
    """
    zone(time_zone)  # a wrong one is told before anything is sent
    if delimiter is not None and len(delimiter) != 1:
        raise WrongUsageError("--delimiter takes one character")
    names, defaults = _renamed(renamed), {"source": source, **({"subject": subject} if subject else {})}
    with ExitStack() as opened:
        client = opened.enter_context(connect(url, key, data))
        client.send("GET", "/livez")  # no server: told at once, not after a dozen attempts
        imports = [
            Import(
                client,
                path,
                format_of(path, input_format),
                delimiter,
                Mapping(digest_of(path), names, skipped, defaults, time_zone),
            )
            for path in files
        ]
        if restart:
            for each in imports:
                each.place.forget()
        kept = None
        if rejects:
            mode = "ab" if any(each.place.read() for each in imports) else "wb"
            kept = opened.enter_context(rejects.open(mode))
        results = [{"file": str(each.path), **asdict(each.run(kept))} for each in imports]
    write(results, COLUMNS, format_)
    ctx.exit(_told(sum(each["rejected"] for each in results), rejects))


def _told(rejected: int, rejects: Path | None) -> int:
    """The exit code; if rows were rejected it is told."""
    if not rejected:
        return OK
    where = f"they are in {rejects}" if rejects else "--rejects FILE keeps them"
    note(f"{rejected:,} rows were rejected; {where}")
    return FAILURE


def _renamed(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        column, is_pair, field = pair.rpartition("=")
        if not is_pair or not column or field not in FIELDS:
            raise WrongUsageError(f"--map {pair}: write COLUMN=FIELD; fields are {', '.join(FIELDS)}")
        found[column] = field
    return found


class Import:
    """One file on its way to the server."""

    def __init__(self, client: Client, path: Path, format_: str, delimiter: str | None, mapping: Mapping) -> None:
        """WrongUsageError: a column is no field, or one is missing."""
        self.path = path
        columns = columns_of(path, format_, delimiter)
        if columns is not None:
            mapping.check_columns(columns)
        self.place = Place(folder_of(os.environ), client.url, client.key_digest, repr(delimiter), repr(mapping))
        self._client = client
        self._format = format_
        self._delimiter = delimiter
        self._mapping = mapping
        self._counts = Counts()
        self._batch: list[tuple[Row, bytes]] = []
        self._batch_bytes = 0
        self._refused: list[Refusal] = []  # here, since the last batch
        self._shown = 0

    def run(self, rejects: IO[bytes] | None) -> Counts:
        """Everything in the file has been answered. CommandError: it could not be; a repetition goes on from there."""
        self._counts = self.place.read() or Counts()
        first = self._counts.rows
        if first:
            note(f"{self.path}: going on behind row {first:,} (--restart begins anew)")
        size = max(self.path.stat().st_size, 1)
        begun_s = time.monotonic()
        with progress_bar(self.path.name, note=True) as tell:
            for row in rows_of(self.path, self._format, self._delimiter):
                if row.number <= first:
                    continue
                self._take(row)
                if len(self._batch) + len(self._refused) >= BATCH_EVENTS or self._batch_bytes >= BATCH_BYTES:
                    self._flush(rejects)
                    speed = (self._counts.rows - first) / max(time.monotonic() - begun_s, 1e-6)
                    tell(row.done_bytes, size, f"{self._counts.rows:,} rows, {speed:,.0f} a second")
            self._flush(rejects)
        self.place.forget()
        return self._counts

    def _take(self, row: Row) -> None:
        """The row waits to be sent, or is refused here."""
        if row.fault is not None:
            self._refused.append(Refusal(row.number, row.line, None, UNREADABLE, row.fault))
            return
        try:
            encoded = _encode(self._mapping.event(row.number, row.values))
        except (WrongRowError, UnicodeEncodeError) as error:
            detail = str(error) if isinstance(error, WrongRowError) else "not UTF-8"
            self._refused.append(Refusal(row.number, row.line, None, UNREADABLE, detail))
            return
        self._batch.append((row, encoded))
        self._batch_bytes += len(encoded) + 1

    def _flush(self, rejects: IO[bytes] | None) -> None:
        """Everything taken so far is answered, counted and its place kept."""
        refused = self._refused
        if self._batch:
            receipt = send(self._client, b"[" + b",".join(encoded for _, encoded in self._batch) + b"]", tell=note)
            self._counts.accepted += receipt["accepted"]
            self._counts.duplicates += receipt["duplicates"]
            refused = sorted(
                refused + [self._refusal(each) for each in receipt["rejected"]], key=lambda each: each.number
            )
        self._counts.rejected += len(refused)
        self._counts.rows += len(self._batch) + len(self._refused)
        self._tell(refused, rejects)
        self._batch, self._batch_bytes, self._refused = [], 0, []
        try:
            self.place.write(self._counts)
        except OSError as error:
            note(f"cannot keep the place of this import ({error}); an interruption means to begin anew")

    def _refusal(self, rejected: dict[str, Any]) -> Refusal:
        row, encoded = self._batch[rejected["index"]]
        return Refusal(
            row.number, row.line, rejected.get("id"), rejected["code"], rejected["detail"], msgspec.Raw(encoded)
        )

    def _tell(self, refused: list[Refusal], rejects: IO[bytes] | None) -> None:
        for each in refused:
            if self._shown < REFUSALS_SHOWN:
                self._shown += 1
                note(f"{self.path}: row {each.number} (line {each.line}) rejected, {each.code}: {each.detail}")
        if rejects is not None and refused:
            rejects.write(b"".join(_encode({"file": str(self.path), **asdict(each)}) + b"\n" for each in refused))
            rejects.flush()
