"""Options made from the fields of a source's settings: what [sources.NAME] takes, one table of it."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import msgspec.inspect as shapes

from weighbridge.app.config import MAX_FILE_BYTES
from weighbridge.app.source_settings import read_sources, read_table, reader_of
from weighbridge.cli.failures import WrongUsageError
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: Mapping[type, tuple[Any, str]] = {
    shapes.IntType: (int, "NUMBER"), shapes.FloatType: (float, "NUMBER"), shapes.StrType: (str, "TEXT"),
}
_SEVERAL = (shapes.VarTupleType, shapes.ListType, shapes.SetType, shapes.FrozenSetType)


def source_options(name: str) -> list[click.Option]:
    """An option for each field that a command line can say; tables within a table stand in files only.

    Help is the field's description (msgspec.Meta). TypeError: the settings of the source are no struct; a defect.
    """
    made = _made_by(reader_of(name))
    shape = shapes.type_info(made) if isinstance(made, type) else None
    if not isinstance(shape, shapes.StructType):
        raise TypeError(f"the settings of {name} are read by no msgspec struct")
    options = [_option(field) for field in shape.fields]
    return [option for option in options if option is not None]


def _made_by(reader: Any) -> Any:  # noqa: ANN401  any source's class, or its own reader
    """The settings class that a reader is, or that it says it returns; None if it says none."""
    if isinstance(reader, type):
        return reader
    return getattr(import_module(reader.__module__), str(reader.__annotations__.get("return")), None)


def tables_of(name: str, given: Mapping[str, Any], config: Path | None) -> tuple[Any, ...]:
    """The settings that a command was given: one table by options, or those of a file. InvalidInputError: they are wrong."""
    table = {field: list(value) if isinstance(value, tuple) else value for field, value in given.items()
             if value is not None and value != ()}
    if config is None:
        try:
            return (read_table(name, table, Path.cwd()),)
        except InvalidInputError as error:
            raise WrongUsageError(f"{error}; see `weighbridge collect {name} --help`") from error
    if table:
        raise WrongUsageError(f"--config and {_flag(next(iter(table)))} contradict each other; give one of the two")
    found, faults = read_sources({name: _section(name, config)}, config.absolute().parent, config.name)
    if faults:
        raise WrongUsageError("\n".join(faults))
    return found[name]


def _section(name: str, file: Path) -> object:
    """[sources.NAME] of a file; what else stands there is not looked at."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise WrongUsageError(f"{file}: it is larger than {MAX_FILE_BYTES} bytes; is it the right file?")
    try:
        sources = tomllib.loads(file.read_text("utf-8")).get("sources")
    except ValueError as error:
        raise WrongUsageError(f"{file}: {error}; it must be TOML") from error
    section = sources.get(name) if isinstance(sources, dict) else None
    if not section:
        raise WrongUsageError(f"{file}: there is no [[sources.{name}]] in it")
    return section


def _option(field: shapes.Field) -> click.Option | None:
    kind, about = _bare(field.type)
    several = isinstance(kind, _SEVERAL)
    if several:
        kind, inner = _bare(kind.item_type)
        about = about or inner
    default = None if field.default in (msgspec.NODEFAULT, None, "", ()) else field.default
    told = [about] if about else []
    told += ["repeatable"] if several else []
    note = "required" if field.required else "" if default is None else f"default: {_written(default)}"
    text = "; ".join(told) + (f" [{note}]" if note else "")
    names = (field.encode_name, _flag(field.encode_name))
    if isinstance(kind, shapes.BoolType) and not several:
        return click.Option([names[0], f"{names[1]}/--no-{names[1][2:]}"], default=None, help=text)
    if isinstance(kind, shapes.LiteralType | shapes.EnumType):
        values = [each.value for each in kind.cls] if isinstance(kind, shapes.EnumType) else list(kind.values)
        if not all(isinstance(value, str) for value in values):
            return None
        return click.Option(names, type=click.Choice(values), multiple=several, help=text)
    plain = _PLAIN.get(type(kind))
    if plain is None:
        return None
    return click.Option(names, type=plain[0], metavar=plain[1], multiple=several, help=text)


def _bare(shape: Any) -> tuple[Any, str]:  # noqa: ANN401  msgspec has no common name for them
    """A type without its descriptions and without None, and what the description says."""
    about = ""
    while True:
        if isinstance(shape, shapes.Metadata):
            about = about or (shape.extra_json_schema or {}).get("description", "")
            shape = shape.type
        elif isinstance(shape, shapes.UnionType):
            some = [each for each in shape.types if not isinstance(each, shapes.NoneType)]
            if len(some) > 1:
                return shape, about
            shape = some[0]
        else:
            return shape, about


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list | frozenset) else str(value)
