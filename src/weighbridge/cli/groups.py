"""Groups of commands with one that is meant where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


class DefaultGroup(click.Group):
    """A group that runs its command `default` if the first argument names none of its commands.

    `needs_arguments`: without any argument the group shows its help instead.
    """

    def __init__(self, *, default: str, needs_arguments: bool = False, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(**attributes, no_args_is_help=needs_arguments)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command's name before arguments that name no command."""
        return super().parse_args(ctx, self._named(ctx, args))

    def _named(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        if not args:
            return [] if self.no_args_is_help else [self.default]
        if args[0] in self.commands or args[0] in self.get_help_option_names(ctx):
            return list(args)
        return [self.default, *args]
