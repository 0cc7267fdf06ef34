"""weighbridge apply"""

from __future__ import annotations

from typing import Any

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.failures import WrongUsageError
from weighbridge.cli.output import format_option, note, write

MAX_BYTES = 16 * 1024 * 1024
"""Largest catalog file: what the server takes."""


@click.command("apply")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--prune", is_flag=True, help="Also delete what the file does not hold (usage is kept).")
@format_option
@client_options
def command(  # noqa: PLR0913  an option each
    *, file: Any, dry_run: bool, prune: bool, format_: str,  # noqa: ANN401  click's file
    url: str | None, key: str | None, data: str | None,
) -> None:
    """Bring the catalog to what FILE (YAML or JSON, `-` for stdin) says.

    Declarative and idempotent: what is there and the same is left, and nothing is deleted without --prune.

    \b
    Example:
      weighbridge apply catalog.yaml --dry-run
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise WrongUsageError(f"{file.name} is larger than {MAX_BYTES} bytes; split it, objects are merged by id")
    is_json = content.lstrip()[:1] in (b"{", b"[")
    query = {"dry_run": "true" if dry_run else None, "prune": "true" if prune else None}
    with connect(url, key, data) as client:
        headers = {"Content-Type": "application/json" if is_json else "application/yaml"}
        answer = client.send("PUT", "/api/v1/catalog", query, content=content, headers=headers).json()
    if dry_run:
        note("Dry run: nothing was changed.")
    if format_ == "json":
        write([answer], (), format_)
        return
    write(answer.get("data", []), ("action", "kind", "id", "fields"), format_)
