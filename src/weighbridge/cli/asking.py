"""Options that the asking commands share: the range, and filters of what is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    F = TypeVar("F", bound=Callable[..., object])

# As reports and the model have them (a test says so), which are not imported: help has to be there at once.
GROUP_KEYS = ("organization", "project", "region", "server", "vpn", "peer", "app", "environment", "consumer", "space")
METRICS = ("bytes", "bytes_in", "bytes_out", "requests")
FILTERS = {
    "organization": "Only what belongs to this organization (id or slug).",
    "project": "Only servers of this project (id or slug).",
    "region": "Only what stands in this region (slug).",
    "server": "Only this server (id).",
    "vpn": "Only this VPN instance (UUID).",
    "app": "Only this app (number).",
    "environment": "Only this environment of an app (number).",
    "consumer": "Only this consumer of an app (number).",
    "space": "Only this space (number).",
}


def range_options(default_from: str) -> Callable[[F], F]:
    """A decorator: the command has `--from`, `--to` and `--time-zone`."""

    def decorate(function: F) -> F:
        function = click.option(
            "--time-zone",
            metavar="ZONE",
            default="UTC",
            show_default=True,
            help="IANA time zone of windows, and of instants without an offset.",
        )(function)
        function = click.option(
            "--to", metavar="INSTANT", default="now", show_default=True, help="End of the range, not included."
        )(function)
        return click.option(
            "--from",
            "from_",
            metavar="INSTANT",
            default=default_from,
            show_default=True,
            help="Start: ISO 8601, a date, `today`, or how long ago: 90m, 24h, 7d, 2w.",
        )(function)

    return decorate


def filter_options(names: Sequence[str] = tuple(FILTERS)) -> Callable[[F], F]:
    """A decorator: the command has a filter option for each of `names`."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            metavar = "NUMBER" if "number" in FILTERS[name] else "ID"
            function = click.option(f"--{name}", metavar=metavar, help=FILTERS[name])(function)
        return function

    return decorate
