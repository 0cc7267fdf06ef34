"""weighbridge version"""

from __future__ import annotations

import click

from weighbridge import __version__
from weighbridge.cli.output import format_option, write


@click.command("version")
@format_option
def command(format_: str) -> None:
    """Show the version of this program.

    \b
    Example:
      weighbridge version --format json
    """
    write([{"name": "weighbridge", "version": __version__}], ("name", "version"), format_)
