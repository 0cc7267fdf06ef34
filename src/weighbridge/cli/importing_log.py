"""`weighbridge import log`."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import xxhash

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.failures import FAILURE, OK, CommandError
from weighbridge.cli.log_options import log_options, log_settings, receipt_of
from weighbridge.cli.output import format_option, note, write
from weighbridge.cli.places import folder_of
from weighbridge.cli.progress import progress_bar
from weighbridge.cli.sending import send_packed

if TYPE_CHECKING:
    from weighbridge.cli.client import Client
    from weighbridge.measurement import Receipt
    from weighbridge.sources.log.decode import LogReader
    from weighbridge.sources.log.imports import Imports, Told

COLUMNS = ("file", "lines", "counted", "bad", "unmatched", "accepted", "duplicates", "rejected")
SHOWN = 10
"""Bad lines, and refused events, of a file that are shown; all are counted."""
IDLE_S = 60.0
"""A file that nobody has written to for so long ends as it is meant to, also if its last line has no newline."""


@click.command("log")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@log_options("--log-format")
@format_option
@client_options
@click.pass_context
@example(
    "weighbridge import log access.log access.log.1 access.log.2.gz --app 1 --environment prod",
    "weighbridge import log E2KX.gz --log-format cloudfront --space 123",
)
def command(
    ctx: click.Context,
    /,
    *,
    files: tuple[Path, ...],
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
    **given: Any,  # noqa: ANN401  what log_options collected
) -> None:
    """Count the lines of access logs, whole files (also .gz, .bz2, .xz and .zst).

    A file's lines count once: importing it again, also after it has grown, was renamed or compressed, counts only what is
    new. An interrupted import goes on where it was. `accepted`, `duplicates` and `rejected` are of the sums that lines add
    up to, one for each 5 minutes and each environment, consumer and endpoint. Exit code 1 if a line was bad or a sum was
    rejected. To follow a log that is being written, see `weighbridge collect log`.
    """
    from weighbridge.sources.log.decode import LogReader  # noqa: PLC0415  DuckDB, which --help need not wait for
    from weighbridge.sources.log.imports import Imports  # noqa: PLC0415

    settings = {path: log_settings(path.absolute(), given) for path in files}  # what is wrong is told before all else
    with ExitStack() as opened:
        client = opened.enter_context(connect(url, key, data))
        client.send("GET", "/livez")  # no server: told at once, not after a dozen attempts
        imports = opened.enter_context(closing(Imports(_state(client))))
        results = []
        is_whole = True
        for path in files:
            with closing(LogReader(settings[path])) as reader:
                told, was_read = _run(path, client, imports, reader)
            is_whole &= was_read
            results.append({"file": str(path), **asdict(told)})
    write(results, COLUMNS, format_)
    faults = sum(each["bad"] + each["rejected"] for each in results)
    ctx.exit(OK if is_whole and not faults else FAILURE)


def _state(client: Client) -> Path:
    """What is kept of imports to this server with this key."""
    named = f"{client.url}\0{client.key_digest}".encode()
    return folder_of(os.environ) / f"logs-{xxhash.xxh3_64_hexdigest(named)}.sqlite"


def _run(path: Path, client: Client, imports: Imports, reader: LogReader) -> tuple[Told, bool]:
    """What became of a file's lines, and whether it could be read to its end. CommandError: the server took no more."""
    from weighbridge.sources.log.contents import DamagedError, UnfinishedError, open_content  # noqa: PLC0415
    from weighbridge.sources.log.deliver import UnplacedError  # noqa: PLC0415
    from weighbridge.sources.log.imports import ChangedError, FileImport  # noqa: PLC0415

    shown = Shown(path)
    size = max(path.stat().st_size, 1)
    with closing(open_content(path)) as content, progress_bar(path.name, note=True) as tell:

        def send(body: bytes) -> Receipt:
            return receipt_of(send_packed(client, body, tell=note))

        def done(offset: int) -> None:
            tell(content.done_bytes(offset), size, f"{run.told.lines:,} lines")

        run = FileImport(path.name, content, reader, imports, send, shown.bad, shown.refused, done)
        try:
            which = imports.find(content)
            if which.mark.offset:
                note(f"{path}: going on behind line {which.lines:,}; what stands before was counted already")
            is_old = time.time() - path.stat().st_mtime >= IDLE_S
            if not run.run(which, with_rest=content.is_packed or is_old):
                note(f"{path}: its last line has no newline yet and waits for the next import")
        except UnplacedError as error:
            raise CommandError(f"{path}: {error}; then the same command goes on where it was") from error
        except (UnfinishedError, DamagedError, ChangedError) as error:
            note(f"{path}: {error}; what stands before was counted")
            return run.told, False
    return run.told, True


class Shown:
    """The first bad lines and refusals of a file stand on stderr."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bad = 0
        self._refused = 0

    def bad(self, line: int, reason: str, text: str) -> None:
        """A bad line is shown, unless SHOWN were."""
        self._bad += 1
        if self._bad <= SHOWN:
            note(f"{self._path}: line {line:,} is bad, {reason}: {text}")

    def refused(self, refusal: Any) -> None:  # noqa: ANN401  a Rejection, which --help need not wait for
        """A refused sum is shown, unless SHOWN were."""
        self._refused += 1
        if self._refused <= SHOWN:
            note(f"{self._path}: a sum was rejected, {refusal.code}: {refusal.detail}")
