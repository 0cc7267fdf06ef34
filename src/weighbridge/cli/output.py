"""Data on stdout as a table, JSON, JSON lines or CSV; words for people on stderr."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    F = TypeVar("F", bound=Callable[..., object])

FORMATS = ("table", "json", "jsonl", "csv")


def format_option(function: F) -> F:
    """A decorator: the command has `--format` and gets it as `format_`."""
    return click.option(
        "--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How data is written."
    )(function)


def write(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], format_: str) -> None:
    """Every row stands on stdout. In JSON rows are objects with all they hold, in a table or CSV they have `columns`."""
    if format_ == "json":
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
    elif format_ == "jsonl":
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif format_ == "csv":
        _write_csv(rows, columns)
    else:
        _write_table(rows, columns)


def write_one(thing: Mapping[str, Any], format_: str) -> None:
    """One object stands on stdout: JSON as it is; otherwise a row of two columns for each of its (dotted) fields."""
    if format_ == "json":
        click.echo(json.dumps(thing, indent=2, ensure_ascii=False))
    elif format_ == "jsonl":
        click.echo(json.dumps(thing, ensure_ascii=False))
    else:
        write([{"field": name, "value": value} for name, value in flat(thing)], ("field", "value"), format_)


def flat(thing: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Pairs of dotted name and value."""
    pairs: list[tuple[str, Any]] = []
    for name, value in thing.items():
        if isinstance(value, dict):
            pairs += flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs


def note(text: str) -> None:
    """The text stands on stderr."""
    click.echo(text, err=True)


def cell(value: object) -> str:
    """A value as a cell of a table or CSV: nothing for None, words for lists."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return " ".join(cell(each) for each in value)
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(column)) for column in columns])


def _write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  rich takes as long to import as a whole command takes
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    listed = list(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_number = any(isinstance(row.get(column), int | float) for row in listed)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in listed:
        table.add_row(*(Text(_grouped(row.get(column))) for column in columns))
    console = Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())
    if not sys.stdout.isatty():  # whoever reads it has no width: every cell on one line
        console.width = max(80, console.measure(table).maximum)
    console.print(table)


def _grouped(value: object) -> str:
    """Whole numbers with thin groups of three digits, the rest as in CSV."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return cell(value)
