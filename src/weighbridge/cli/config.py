"""`weighbridge config show`."""

from __future__ import annotations

import click

from weighbridge.app.config import shown
from weighbridge.cli.examples import example
from weighbridge.cli.output import format_option, write
from weighbridge.cli.settings_options import load_settings, with_settings


@click.group("config")
@example("weighbridge config show")
def command() -> None:
    """Show the settings and where each comes from."""


@command.command("show")
@format_option
@with_settings()
@example("weighbridge config show --port 9090 --format json")
def show(format_: str, **flags: object) -> None:
    """Show each setting, its value and where the value comes from; secrets are hidden.

    It takes the flags of `serve`, so that a command line can be tried out. Wrong settings are told, with exit code 2.
    """
    settings, sources = load_settings(flags)
    rows = [{"setting": name, "value": value, "source": source} for name, value, source in shown(settings, sources)]
    write(rows, ("setting", "value", "source"), format_)
