"""The command `weighbridge`. Commands are imported when they are called: help has to be there at once."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from weighbridge.cli.failures import INTERRUPTED, OK, PIPE_CLOSED, USAGE, CommandError, WrongUsageError
from weighbridge.domain.errors import InvalidInputError, WeighbridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, tuple[str, str]] = {
    # name: (module below cli/ whose `command` it is, one line for the list)
    "serve": ("serve", "Run the server: API, collectors and dashboard."),
    "apply": ("apply", "Bring the catalog to what a file says."),
    "keys": ("keys", "Create, list and revoke API keys."),
    "write-tokens": ("write_tokens", "Create, list and revoke write tokens of apps, for OpenTelemetry."),
    "usage": ("usage", "Usage by window and group."),
    "percentile": ("percentile", "The 95th percentile (or another), with its receipt."),
    "top": ("top", "Who moved most."),
    "unattributed": ("unattributed", "Flows that are nobody's, by exporter and address."),
    "reattribute": ("reattribute", "Work out anew whose kept flows are, a dry run first."),
    "reconciliation": ("reconciliation", "What counters and what flows say of the same thing."),
    "quota": ("quota", "What was granted, what is used and what is left."),
    "import": ("importing", "Send what files hold: events, access logs."),
    "collect": ("collecting", "Collect on this machine what goes through it, and send it."),
    "export": ("export", "Usage rows of any range as CSV, NDJSON or Parquet."),
    "snmp": ("snmp", "List the interfaces of a device, as it names them."),
    "config": ("config", "Show the settings and where each comes from."),
    "doctor": ("doctor", "Examine a data folder while its server is stopped."),
    "demo": ("demo", "Fill an empty data folder with 13 months of made-up traffic."),
    "version": ("version", "Show the version of this program."),
}

HELP = """Weighbridge weighs what servers, VPNs and APIs move.

\b
Example:
  weighbridge serve --data ./weighbridge-data
  weighbridge usage --from 7d --window 1d --group-by region
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; errors of Weighbridge end them in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"weighbridge.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  whatever the command returns
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # here, because click would end with 1
            _close_stdout()
            ctx.exit(PIPE_CLOSED)
        except OSError as error:
            raise CommandError(f"{error.filename or 'the system'}: {error.strerror or error}") from error
        except InvalidInputError as error:
            raise WrongUsageError(str(error)) from error
        except WeighbridgeError as error:
            raise CommandError(str(error)) from error


@click.group(
    cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="weighbridge", message="weighbridge %(version)s")
def cli() -> None:
    """See HELP."""


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Ctrl-C and a closed pipe end it quietly."""
    try:
        code = cli.main(args=None if args is None else list(args), prog_name="weighbridge", standalone_mode=False)
        sys.stdout.flush()
    except CommandError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return PIPE_CLOSED
    return code if isinstance(code, int) else OK


def main() -> NoReturn:
    """Entry point of the script `weighbridge`."""
    sys.exit(run())


def _close_stdout() -> None:
    """The interpreter's last flush goes nowhere: whoever read it has gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
