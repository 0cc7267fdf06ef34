"""The section [sources] of weighbridge.toml: each source's tables, read by that source's own settings class.

Imported only where a file has such a section: the classes need more than the standard library.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_TABLES = 10_000
"""Tables of one source: a log or a device each, read in 80 µs; more belongs on several machines."""

Tables = dict[str, tuple[Any, ...]]
"""By source, in the order of the file."""


def read_sources(section: object, folder: Path, file: str) -> tuple[Tables, list[str]]:
    """The tables of [sources], and what is wrong, a sentence each. Relative paths in them start at `folder`.

    A source's only table may stand as [sources.NAME] instead of [[sources.NAME]].
    """
    if not isinstance(section, dict):
        return {}, [f"{file}: sources must be a section; write [[sources.log]] on a line of its own"]
    found: Tables = {}
    faults: list[str] = []
    for name, written in section.items():
        where = f"{file}: sources.{name}"
        tables = [written] if isinstance(written, dict) else written
        if name not in SETTINGS:
            near = get_close_matches(name, SETTINGS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(SETTINGS)}"
            faults.append(f"{where}: there is no such source{hint}")
        elif not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            faults.append(f"{where}: must be a table, or a list of tables; write [[sources.{name}]] above each")
        elif len(tables) > MAX_TABLES:
            faults.append(f"{where}: {len(tables)} tables; {MAX_TABLES} are the most")
        else:
            found[name] = _read_tables(name, tables, folder, where, faults)
    return found, faults


def reader_of(name: str) -> Any:  # noqa: ANN401  any source's class, or its own reader
    """What reads a table of a source: its settings' class, or a function."""
    module, _, reader = SETTINGS[name].partition(":")
    return getattr(import_module(module), reader)


def read_table(name: str, table: Mapping[str, Any], folder: Path) -> Any:  # noqa: ANN401  any source's settings
    """The settings that one table of a source says. InvalidInputError: they are wrong."""
    reader = reader_of(name)
    try:
        settings = msgspec.convert(table, reader) if isinstance(reader, type) else reader(table)
        return settings.placed(folder) if hasattr(settings, "placed") else settings
    except (msgspec.ValidationError, InvalidInputError) as error:
        raise InvalidInputError(_complaint(str(error), reader)) from error


def _read_tables(
    name: str, tables: list[Mapping[str, Any]], folder: Path, where: str, faults: list[str]
) -> tuple[Any, ...]:
    read = []
    for number, table in enumerate(tables, 1):
        try:
            read.append(read_table(name, table, folder))
        except InvalidInputError as error:
            faults.append(f"{where}, table {number}: {error}")
    return tuple(read)


def _complaint(told: str, reader: Any) -> str:  # noqa: ANN401  any source's class, or its own reader
    """What is wrong, and which keys there are, where one is none of them and the source does not say so itself."""
    fields = getattr(reader, "__struct_fields__", ())
    if fields and told.startswith("Object contains unknown field") and " - at " not in told:
        return f"{told}; known there: {', '.join(fields)}"
    return told


def show_source(settings: object) -> str:
    """A table's settings as a text for people."""
    return msgspec.json.encode(settings).decode()
