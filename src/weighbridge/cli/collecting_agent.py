"""`weighbridge collect NAME`: a source's collector on this machine, what it brings in spooled and sent."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.output import note
from weighbridge.cli.progress import progress_bar
from weighbridge.cli.source_options import source_options, tables_of
from weighbridge.cli.stopping import stopped_by_signals
from weighbridge.sources import SOURCES

if TYPE_CHECKING:
    from weighbridge.cli.client import Client

EXAMPLES = {
    "host": "--server sv_1",
    "netflow": "--listen 0.0.0.0:2055",
    "sflow": "--listen 0.0.0.0:6343",
    "snmp": "--device tor-1 --address 192.0.2.1:161 --community-env TOR1_COMMUNITY",
    "openvpn": "--instance d290f1ee-6c54-4b01-90e6-d701748f0851 --status /run/openvpn-server/status-server.log",
    "wireguard": "--instance d290f1ee-6c54-4b01-90e6-d701748f0851 --interface wg0",
}
"""What an example says behind `weighbridge collect NAME`, where a source needs something."""
MIB = 1024 * 1024


def make_command(name: str) -> click.Command:
    """The command of a source, with options made from its settings."""

    def run(
        *,
        config: Path | None,
        state: Path | None,
        spool_max: int,
        url: str | None,
        to: str | None,
        key: str | None,
        data: str | None,
        **given: Any,  # noqa: ANN401  what the source's options collected
    ) -> None:
        tables = tables_of(name, given, config)
        with connect(url or to, key, data) as client:
            _collect(name, tables, client, folder_of(state, name), spool_max * MIB)

    command = click.command(name, help=_help(name), short_help=SOURCES[name])(_common_options(run))
    command.params = [*source_options(name), *command.params]
    return command


def _common_options(function: Any) -> Any:  # noqa: ANN401  click's decorators
    options = (
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Settings file whose [[sources.NAME]] is taken instead of the options above; several tables may stand there.",
        ),
        click.option(
            "--state",
            metavar="DIR",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder that keeps what waits for the server [default: weighbridge/agents in XDG_STATE_HOME, else in "
            "~/.local/state]",
        ),
        click.option(
            "--spool-max",
            metavar="MIB",
            type=click.IntRange(min=1),
            default=4096,
            show_default=True,
            help="Most that waits on this disk, in MiB.",
        ),
        client_options,
        click.option("--to", metavar="URL", help="The same as --url."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _help(name: str) -> str:
    example = f"weighbridge collect {name} {EXAMPLES.get(name, '')} --to https://weighbridge.example.com".replace("  ", " ")
    return (
        f"Collect {SOURCES[name]}.\n\n"
        "It runs until SIGTERM or Ctrl-C. What it brings in is on this disk before it is sent, and stays there until the "
        "server has answered; nothing is lost or counted twice, whatever ends this command or the server. See "
        f"docs/agents.md.\n\n\b\nExample:\n  {example}\n  weighbridge collect {name} --config weighbridge.toml "
        "--to https://weighbridge.example.com --state /var/lib/weighbridge-agent"
    )


def _collect(name: str, tables: tuple[Any, ...], client: Client, folder: Path, spool_bytes: int) -> None:
    from weighbridge.app.clock import SystemClock  # noqa: PLC0415  nothing that --help need wait for
    from weighbridge.app.logs import set_up_log  # noqa: PLC0415
    from weighbridge.cli.agent import Agent  # noqa: PLC0415
    from weighbridge.spool.outbox import Outbox  # noqa: PLC0415

    with ExitStack() as opened:
        tell = opened.enter_context(progress_bar(name, note=True))
        set_up_log("info", "text")  # behind the bar, which stands aside for it
        outbox = opened.enter_context(closing(Outbox(folder, spool_bytes)))
        agent = Agent(name, tables, client, outbox, folder=folder, clock=SystemClock(), tell=tell)
        with stopped_by_signals(agent.stop):
            agent.run()
        note(f"{name}: {agent.status()}")


def folder_of(state: Path | None, name: str) -> Path:
    """Where an agent keeps what waits: below the folder that --state names, else where a user's state is kept."""
    own = os.environ.get("XDG_STATE_HOME")
    default = (Path(own) if own else Path.home() / ".local" / "state") / "weighbridge" / "agents"
    return (state or default).absolute() / name
