"""`weighbridge doctor`."""

from __future__ import annotations

import click

from weighbridge.cli.examples import example
from weighbridge.cli.failures import FAILURE, OK, CommandError
from weighbridge.cli.output import format_option, note, write
from weighbridge.cli.settings_options import load_settings, with_settings
from weighbridge.domain.errors import FolderInUseError

COLUMNS = ("check", "result", "detail", "remedy")


@click.command("doctor")
@format_option
@with_settings("data", "host", "port", "duckdb_memory_mb", "duckdb_threads")
@click.pass_context
@example("weighbridge doctor --data ./weighbridge-data")
def command(ctx: click.Context, /, *, format_: str, **flags: object) -> None:
    """Examine a data folder while its server is stopped.

    Journal, catalog and usage store are checked against themselves and each other; so are disk space, file modes, zone
    data and the port. Exit code 1 if something is wrong; what to do is told with it.
    """
    settings, _ = load_settings(flags)
    from weighbridge.app.clock import SystemClock  # noqa: PLC0415  the stores, which --help need not wait for
    from weighbridge.app.doctor import examinations  # noqa: PLC0415

    rows: list[dict[str, str | None]] = []
    try:
        for name, findings in examinations(settings, SystemClock()):
            note(f"{name}: {'ok' if not findings else 'wrong'}")
            rows += (
                [{"check": name, "result": "ok", "detail": None, "remedy": None}]
                if not findings
                else [
                    {"check": name, "result": "wrong", "detail": found.detail, "remedy": found.remedy}
                    for found in findings
                ]
            )
    except FolderInUseError as error:
        raise CommandError(f"{error}; the doctor works while the server is stopped") from error
    write(rows, COLUMNS, format_)
    ctx.exit(FAILURE if any(row["result"] == "wrong" for row in rows) else OK)
