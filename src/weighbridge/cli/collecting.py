"""`weighbridge collect`: a command for each source that brings in by itself, imported when it is called."""

from __future__ import annotations

import click

from weighbridge.cli.examples import example
from weighbridge.sources import COLLECTORS, SOURCES


class SourceGroup(click.Group):
    """`collect log`, and `collect NAME` for every name in COLLECTORS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Names, as the sources are listed."""
        return ["log", *(name for name in SOURCES if name in COLLECTORS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """The command of this name, made now."""
        if cmd_name == "log":
            from weighbridge.cli.collecting_log import command as log  # noqa: PLC0415  the others need not wait for it

            return log
        if cmd_name not in COLLECTORS:
            return None
        from weighbridge.cli.collecting_agent import make_command  # noqa: PLC0415  as above

        return make_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of sources, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SOURCES[name]) for name in self.list_commands(ctx)])


@click.group("collect", cls=SourceGroup)
@example(
    "weighbridge collect log /var/log/nginx/access.log --app 1 --to https://weighbridge.example.com",
    "weighbridge collect host --server sv_1 --to https://weighbridge.example.com",
)
def command() -> None:
    """Collect on this machine what goes through it, or past it, and send it to the server.

    While the server is away it waits on this machine's disk. See docs/agents.md.
    """
