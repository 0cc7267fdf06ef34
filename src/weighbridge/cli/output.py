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
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How data is written.",
    )(function)


def write(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], format_: str) -> None:
    """Every row stands on stdout: in JSON with all that it holds, in a table or CSV its `columns`."""
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
    """One object stands on stdout: JSON as it is, otherwise two columns, (dotted) field and value."""
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
    """Columns as wide as their widest cell, numbers to the right; nothing is cut, so that machines can read it."""
    listed = list(rows)
    cells = [[_grouped(row.get(column)) for column in columns] for row in listed]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    right = [any(_is_number(row.get(column)) for row in listed) for column in columns]
    rule = ["-" * width for width in widths]
    for line in ([*columns], rule, *cells):
        fitted = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(fitted).rstrip())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _grouped(value: object) -> str:
    """Whole numbers in groups of three digits, the rest as in CSV; control characters spelled out."""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else cell(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
