"""`weighbridge keys create, list, revoke`."""

from __future__ import annotations

from urllib.parse import quote

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.output import format_option, note, write, write_one
from weighbridge.domain.timegrid import parse_instant, rfc3339, zone

SCOPES = ("ingest", "traffic:read", "vpn:view", "catalog:write", "billing", "admin")
COLUMNS = ("id", "name", "organization", "project", "scopes", "created_at", "expires_at")


@click.group("keys")
@example("weighbridge keys list")
def command() -> None:
    """Create, list and revoke API keys."""


@command.command("create")
@click.option("--organization", metavar="ID", help="Whose key it is [default: the organization of the key that asks].")
@click.option("--name", required=True, metavar="TEXT", help="What the key is for.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it may do; repeatable."
)
@click.option("--project", metavar="ID", help="Only this project of the organization.")
@click.option("--expires-at", metavar="INSTANT", help="ISO 8601; the key is good until then [default: for ever].")
@format_option
@client_options
@example("weighbridge keys create --organization org_acme --name edge-1 --scope ingest")
def create(
    *,
    organization: str | None,
    name: str,
    scopes: tuple[str, ...],
    project: str | None,
    expires_at: str | None,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
) -> None:
    """Create a key. This is the only time that it is shown."""
    body: dict[str, object] = {"organization": organization, "name": name, "scopes": list(scopes), "project": project}
    if expires_at is not None:
        body["expires_at"] = rfc3339(parse_instant(expires_at, zone("UTC")) // 1_000_000)
    with connect(url, key, data) as client:
        made = client.json(
            "POST", "/api/v1/keys", body={name: value for name, value in body.items() if value is not None}
        )
    write_one(made, format_)
    note("The key is shown this once; keep it now.")


@command.command("list")
@click.option("--organization", metavar="ID", help="Only keys of this organization.")
@format_option
@client_options
@example("weighbridge keys list --organization org_acme --format jsonl")
def list_(*, organization: str | None, format_: str, url: str | None, key: str | None, data: str | None) -> None:
    """List the keys that are in force, without the keys themselves."""
    with connect(url, key, data) as client:
        write(list(client.items("/api/v1/keys", {"organization": organization})), COLUMNS, format_)


@command.command("revoke")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@client_options
@example("weighbridge keys revoke key_3fZ0")
def revoke(*, ids: tuple[str, ...], url: str | None, key: str | None, data: str | None) -> None:
    """Revoke keys by their ids. From then on they are answered 401."""
    with connect(url, key, data) as client:
        for each in ids:
            client.send("DELETE", f"/api/v1/keys/{quote(each, safe='')}")
            note(f"revoked {each}")
