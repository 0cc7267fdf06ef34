"""`weighbridge serve`."""

from __future__ import annotations

import click

from weighbridge.cli.examples import example
from weighbridge.cli.failures import CommandError
from weighbridge.cli.settings_options import load_settings, with_settings


@click.command("serve")
@with_settings()
@example("weighbridge serve --data ./weighbridge-data --port 8080")
def command(**flags: object) -> None:
    """Run the server: HTTP API, collectors and dashboard in one process.

    Everything is kept in one folder. At the first start an admin key is made, printed on stderr and kept in
    DATA/admin.key. This machine's own interfaces are metered at once. SIGTERM or Ctrl-C ends it cleanly.
    """
    settings, _ = load_settings(flags)
    from weighbridge.app.run import serve  # noqa: PLC0415  the whole server, which --help need not wait for

    try:
        serve(settings)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; give another address "
            "with --host and --port, or stop what listens there"
        ) from error
