"""Options made from a source's settings, and the settings made from options."""

from __future__ import annotations

import sys
from enum import StrEnum
from types import ModuleType
from typing import Annotated, Any, Literal

import click
import msgspec
import pytest
from click.testing import CliRunner

from weighbridge import sources
from weighbridge.app.config import MAX_FILE_BYTES
from weighbridge.cli.client import client_options
from weighbridge.cli.collecting_agent import make_command
from weighbridge.cli.failures import WrongUsageError
from weighbridge.cli.source_options import source_options, tables_of
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources import COLLECTORS, SETTINGS


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    user: str


class MadeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table."""

    device: Annotated[str, msgspec.Meta(min_length=1, description="What it is called")]
    port_range: int = 161
    wait_s: float = 1.5
    quick: bool = True
    way: Literal["up", "down"] = "up"
    colour: Colour | None = None
    names: Annotated[tuple[str, ...], msgspec.Meta(max_length=3, description="Names that are taken")] = ()
    numbers: Annotated[list[int], msgspec.Meta(description="Numbers")] = []
    login: Inner | None = None
    either: int | str = 1

    def __post_init__(self) -> None:
        if self.port_range > 65_535:
            raise ValueError("port_range must be below 65536")


@pytest.fixture(autouse=True)
def made(monkeypatch) -> None:
    module = ModuleType("made_settings")
    module.MadeSettings = MadeSettings
    module.read = lambda table: table
    module.read.__module__ = "made_settings"
    monkeypatch.setitem(sys.modules, "made_settings", module)
    monkeypatch.setitem(sources.SETTINGS, "made", "made_settings:MadeSettings")
    monkeypatch.setitem(sources.SOURCES, "made", "what is made")


def given(*args: str) -> dict[str, Any]:
    """What a command gets of these arguments."""
    found: dict[str, Any] = {}
    command = click.Command("made", params=[*source_options("made")], callback=lambda **more: found.update(more))
    ran = CliRunner().invoke(command, args)
    assert ran.exit_code == 0, ran.output
    return found


def test_each_field_that_a_command_line_can_say_has_an_option():
    told = {option.opts[0]: (option.help, option.secondary_opts) for option in source_options("made")}
    assert told == {
        "--device": ("What it is called [required]", []),
        "--port-range": ("[default: 161]", []),
        "--wait-s": ("[default: 1.5]", []),
        "--quick": ("[default: yes]", ["--no-quick"]),
        "--way": ("[default: up]", []),
        "--colour": ("", []),
        "--names": ("Names that are taken; repeatable", []),
        "--numbers": ("Numbers; repeatable", []),
    }


@pytest.mark.parametrize(("args", "expected"), [
    (["--device", "a"], MadeSettings(device="a")),
    (["--device", "a", "--no-quick", "--port-range", "7", "--wait-s", "2"],
     MadeSettings(device="a", quick=False, port_range=7, wait_s=2.0)),
    (["--device", "a", "--way", "down", "--colour", "blue"], MadeSettings(device="a", way="down", colour=Colour.BLUE)),
    (["--device", "a", "--names", "x", "--names", "y", "--numbers", "1"],
     MadeSettings(device="a", names=("x", "y"), numbers=[1])),
])
def test_what_is_given_is_one_table(args, expected):
    assert tables_of("made", given(*args), None) == (expected,)


@pytest.mark.parametrize(("args", "told"), [
    ([], "missing required field `device`"),
    (["--device", ""], "length >= 1"),
    (["--device", "a", "--port-range", "70000"], "below 65536"),
    (["--device", "a", *("--names x" * 4).replace("x--", "x --").split()], "length <= 3"),
])
def test_what_makes_no_sense_is_told(args, told):
    with pytest.raises(WrongUsageError) as caught:
        tables_of("made", given(*args), None)
    assert told in caught.value.message
    assert "weighbridge collect made --help" in caught.value.message


def test_several_tables_stand_in_a_file(tmp_path):
    file = tmp_path / "weighbridge.toml"
    file.write_text("data = 'elsewhere'\n[[sources.made]]\ndevice = 'a'\n"
                    "[[sources.made]]\ndevice = 'b'\nlogin = {user = 'u'}\n[[sources.other]]\nx = 1\n")
    assert tables_of("made", given(), file) == (MadeSettings(device="a"), MadeSettings(device="b", login=Inner("u")))


@pytest.mark.parametrize(("text", "args", "told"), [
    ("[[sources.made]]\ndevice = 'a'", ["--device", "b"], "--config and --device contradict each other"),
    ("port = 1", [], "there is no [[sources.made]] in it"),
    ("[sources]", [], "there is no [[sources.made]] in it"),
    ("sources = 5", [], "there is no [[sources.made]] in it"),
    ("x = = 1", [], "it must be TOML"),
    ("[[sources.made]]\ndevice = 'a'\n[[sources.made]]\ncolour = 'red'", [], "sources.made, table 2: "),
    ("sources.made = 5", [], "must be a table, or a list of tables"),
])
def test_what_is_wrong_in_a_file_is_told(tmp_path, text, args, told):
    file = tmp_path / "weighbridge.toml"
    file.write_text(text)
    with pytest.raises((WrongUsageError, InvalidInputError)) as caught:
        tables_of("made", given(*args), file)
    assert told in str(caught.value)


def test_a_file_has_a_bound(tmp_path):
    file = tmp_path / "weighbridge.toml"
    file.write_text("#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(WrongUsageError, match="larger than"):
        tables_of("made", {}, file)


def test_settings_must_be_a_struct(monkeypatch):
    monkeypatch.setitem(sources.SETTINGS, "made", "made_settings:read")
    with pytest.raises(TypeError, match="no msgspec struct"):
        source_options("made")


@pytest.mark.parametrize("name", sorted(COLLECTORS))
def test_no_option_of_a_source_means_two_things(name):
    """Each option says something, and none has the name of one that all have."""
    assert name in SETTINGS
    command = make_command(name)
    names = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
    assert len(names) == len(set(names))
    common = {param.name for param in client_options(click.command("x")(lambda: None)).params}
    own = source_options(name)
    assert not {option.name for option in own} & {*common, "config", "state", "spool_max", "to"}
    assert [option.name for option in own if (option.help or "[").startswith("[")] == []
