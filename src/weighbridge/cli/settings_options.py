"""Options of commands that work on a data folder: `--config` and a flag for each setting that has one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from weighbridge.app.config import SETTINGS, load
from weighbridge.app.setting_kinds import Switch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from weighbridge.app.config import Setting, Settings

F = TypeVar("F", bound="Callable[..., object]")


def with_settings(*names: str) -> Callable[[F], F]:
    """A decorator: the command has `--config` and the flags of the settings called `names`, of all without names.

    The command gets them as keyword arguments, None where they were not given; `load_settings` takes them.
    """

    def decorate(function: F) -> F:
        for setting in reversed(SETTINGS):
            if setting.flag and (not names or setting.name in names):
                function = _option(setting)(function)
        return click.option(
            "--config",
            metavar="FILE",
            help="Settings file [default: weighbridge.toml, if it is there; variable: WEIGHBRIDGE_CONFIG]",
        )(function)

    return decorate


def load_settings(flags: dict[str, object], *, only: Collection[str] = ()) -> tuple[Settings, dict[str, str]]:
    """The settings and their sources, from the flags that a command got, this process's variables and the file.

    InvalidInputError tells everything that is wrong.
    """
    given = {name: value for name, value in flags.items() if value is not None and (not only or name in only)}
    return load(
        {name: "true" if value is True else str(value) for name, value in given.items()}, os.environ, Path.cwd()
    )


def _option(setting: Setting) -> Callable[[F], F]:
    default = f"default: {setting.default}; " if setting.default else ""
    about = f"{setting.meaning} [{default}variable: {setting.variable}]"
    flag = setting.flag or ""
    if isinstance(setting.kind, Switch):
        return click.option(flag, setting.name, is_flag=True, default=None, help=about)
    return click.option(flag, setting.name, metavar=setting.kind.word, help=about)
