"""`weighbridge write-tokens create, list, revoke`."""

from __future__ import annotations

from urllib.parse import quote

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.output import format_option, note, write, write_one

COLUMNS = ("id", "app", "name", "created_at")
_app = click.option("--app", type=click.IntRange(min=1), required=True, metavar="NUMBER", help="Whose telemetry it lets in.")


@click.group("write-tokens")
@example("weighbridge write-tokens create --app 1")
def command() -> None:
    """Create, list and revoke write tokens: what an app's OpenTelemetry sends its metrics with."""


def _path(app: int) -> str:
    return f"/api/v1/apps/{app}/write-tokens"


@command.command("create")
@_app
@click.option("--name", metavar="TEXT", help="What the token is for.")
@format_option
@client_options
@example("weighbridge write-tokens create --app 1 --name prod")
def create(*, app: int, name: str | None, format_: str, url: str | None, key: str | None, data: str | None) -> None:
    """Create a write token. This is the only time that it is shown."""
    with connect(url, key, data) as client:
        made = client.json("POST", _path(app), body={} if name is None else {"name": name})
    write_one(made, format_)
    note("The token is shown this once; keep it now.")


@command.command("list")
@_app
@format_option
@client_options
@example("weighbridge write-tokens list --app 1 --format jsonl")
def list_(*, app: int, format_: str, url: str | None, key: str | None, data: str | None) -> None:
    """List the write tokens of an app that are in force, without the tokens themselves."""
    with connect(url, key, data) as client:
        write(list(client.items(_path(app), {})), COLUMNS, format_)


@command.command("revoke")
@_app
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@client_options
@example("weighbridge write-tokens revoke --app 1 wt_3fZ0")
def revoke(*, app: int, ids: tuple[str, ...], url: str | None, key: str | None, data: str | None) -> None:
    """Revoke write tokens by their ids. From then on they are answered 401."""
    with connect(url, key, data) as client:
        for each in ids:
            client.send("DELETE", f"{_path(app)}/{quote(each, safe='')}")
            note(f"revoked {each}")
