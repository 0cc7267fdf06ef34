"""How a command can fail, each with its exit code (CONTRACT part 1)."""

from __future__ import annotations

from typing import IO, Any

import click

OK = 0
FAILURE = 1
USAGE = 2
QUOTA_EXCEEDED = 3
AUTH = 4
UNREACHABLE = 5
INTERRUPTED = 130
"""Ended by Ctrl-C: 128 and the signal's number, as shells have it."""
PIPE_CLOSED = 141
"""Whoever read our output has gone: 128 and the number of SIGPIPE."""


class CommandError(click.ClickException):
    """Ends the command with `exit_code`; the message says what is wrong and what to do."""

    exit_code = FAILURE

    def show(self, file: IO[Any] | None = None) -> None:
        """The message stands on stderr."""
        click.echo(f"weighbridge: {self.format_message()}", file=file, err=file is None)


class WrongUsageError(CommandError):
    """The command line, a variable or the settings file is wrong."""

    exit_code = USAGE


class AuthError(CommandError):
    """No key, a wrong key, or one that may not do this."""

    exit_code = AUTH


class UnreachableError(CommandError):
    """Nothing answers at the URL."""

    exit_code = UNREACHABLE
