"""`weighbridge apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.failures import WrongUsageError
from weighbridge.cli.output import format_option, note, write, write_one

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 4 * 1024 * 1024
"""Largest catalog file: what the server takes."""


@click.command("apply")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--prune", is_flag=True, help="Also delete what the file does not hold (usage is kept).")
@format_option
@client_options
@example("weighbridge apply catalog.yaml --dry-run")
def command(
    *,
    file: Any,  # noqa: ANN401  click's file
    dry_run: bool,
    prune: bool,
    format_: str,
    url: str | None,
    key: str | None,
    data: str | None,
) -> None:
    """Bring the catalog to what FILE (YAML or JSON, `-` for stdin) says.

    Declarative and idempotent: what is there and the same is left, and nothing is deleted without --prune.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise WrongUsageError(f"{file.name} is larger than {MAX_BYTES} bytes; split it, objects are merged by id")
    is_json = content.lstrip()[:1] in (b"{", b"[")
    query = {"dry_run": "true" if dry_run else None, "prune": "true" if prune else None}
    with connect(url, key, data) as client:
        headers = {"Content-Type": "application/json" if is_json else "application/yaml"}
        plan = client.send("PUT", "/api/v1/catalog", query, content=content, headers=headers).json()
    if format_ == "json":
        write_one(plan, format_)
        return
    write(_rows(plan), ("action", "kind", "id", "fields"), format_)
    verb = "would be" if dry_run else "were"
    note(
        ", ".join(
            f"{len(plan[name])} {verb} {word}"
            for name, word in (("create", "created"), ("change", "changed"), ("delete", "deleted"))
        )
        + f"; {plan['leave']} left as they are"
    )


def _rows(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"action": action, **each} for action in ("create", "change", "delete") for each in plan.get(action, ())]
