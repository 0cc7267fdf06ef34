"""Options that say how the lines of an access log are written and whose they are, as [[sources.log]] does in the settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from weighbridge.app.config import MAX_FILE_BYTES
from weighbridge.cli.failures import CommandError, WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weighbridge.measurement import Receipt
    from weighbridge.sources.log.settings import LogSettings

    F = TypeVar("F", bound=Callable[..., object])

DEFAULT_FORMAT = "combined"


def log_options(*names_of_format: str) -> Callable[[F], F]:
    """A decorator: the command has the options below and hands them to `log_settings`."""
    options = (
        click.option(
            *names_of_format,
            "log_format",
            metavar="FORMAT",
            help="common, combined, json, nginx-json, caddy, traefik, envoy, alb, cloudfront, or an nginx log_format string "
            f"[default: {DEFAULT_FORMAT}]",
        ),
        click.option("--app", metavar="NUMBER", type=int, help="App that the lines belong to."),
        click.option("--space", metavar="NUMBER", type=int, help="Space that the lines belong to."),
        click.option("--environment", metavar="NAME", help="Environment of the app: a name, or a field such as $host."),
        click.option("--consumer", metavar="NAME", help="Consumer of the app: a field such as $remote_user, or a name."),
        click.option(
            "--endpoint",
            "endpoints",
            metavar="TEMPLATE",
            multiple=True,
            help="Paths that are told apart, such as /items/{id}; repeatable.",
        ),
        click.option(
            "--field",
            "fields",
            metavar="FIELD=KEY",
            multiple=True,
            help="Of the format json, where a field stands: time=ts, host=request.host; repeatable.",
        ),
        click.option(
            "--rules",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="TOML file with the keys of [[sources.log]], or a settings file that holds one for this log.",
        ),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def log_settings(path: Path, given: Mapping[str, Any]) -> LogSettings:
    """What the options say, and the file of --rules where they say nothing. InvalidInputError: it makes no sense."""
    from weighbridge.sources.log.settings import read_settings  # noqa: PLC0415  help need not wait for it

    table: dict[str, Any] = {"format": DEFAULT_FORMAT}
    if given["rules"] is not None:
        table |= _table_of(given["rules"], path)
    table["path"] = str(path)
    if given["log_format"] is not None:
        table["format"] = given["log_format"]
    if given["app"] is not None or given["space"] is not None:
        table.pop("app", None)
        table.pop("space", None)
    table |= {name: given[name] for name in ("app", "space", "environment", "consumer") if given[name] is not None}
    if given["endpoints"]:
        table["endpoints"] = list(given["endpoints"])
    if given["fields"]:
        table["fields"] = dict(_pair(each) for each in given["fields"])
    return read_settings(table)


def receipt_of(answer: Mapping[str, Any]) -> Receipt:
    """The server's receipt as sources know it; codes that this version does not know stay as they are.

    CommandError: it is none, as where a proxy answers.
    """
    from weighbridge.measurement import Receipt, Rejection  # noqa: PLC0415  as above

    try:
        rejected = tuple(
            Rejection(each["index"], each.get("id"), each["code"], each.get("detail", "")) for each in answer["rejected"]
        )
        return Receipt(int(answer["accepted"]), int(answer["duplicates"]), rejected)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CommandError("the server answered a batch with something that is no receipt") from error


def _pair(written: str) -> tuple[str, str]:
    name, is_pair, key = written.partition("=")
    if not is_pair or not name or not key:
        raise WrongUsageError(f"--field {written}: write FIELD=KEY, as in time=ts")
    return name, key


def _table_of(file: Path, path: Path) -> dict[str, Any]:
    """The keys that a file has for the log at `path`."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise WrongUsageError(f"{file}: it is larger than {MAX_FILE_BYTES} bytes; is it the right file?")
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise WrongUsageError(f"{file}: {error}; it must be TOML") from error
    sources = table.get("sources")
    if not isinstance(sources, dict):
        return table
    logs = [each for each in sources.get("log") or [] if isinstance(each, dict)]
    named = [each for each in logs if (file.parent / str(each.get("path"))).absolute() == path]
    if len(named) != 1:
        raise WrongUsageError(f"{file}: {len(named) or 'no'} [[sources.log]] has path = {str(path)!r}; give it one")
    return named[0]
