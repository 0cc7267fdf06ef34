"""The documentation says what the program says."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import click
import pytest

from weighbridge import asgi, wsgi
from weighbridge.app.config import SETTINGS, load
from weighbridge.app.source_settings import read_sources, reader_of
from weighbridge.cli import failures
from weighbridge.cli.main import COMMANDS
from weighbridge.cli.reference import PAGES, commands, rewritten
from weighbridge.measurement import RejectReason
from weighbridge.metering.gathering import MORE_WORDS, WORDS
from weighbridge.reporter import settings as middleware
from weighbridge.reporter.complaints import QUIET_S
from weighbridge.reporter.post import LONGEST_WAIT_S
from weighbridge.reporter.spool import ROWS_WAITING
from weighbridge.reporter.tally import KEYS_AT_ONCE, UNREAD_BYTES
from weighbridge.reporter.worker import EXIT_S, FIRST_WAIT_S
from weighbridge.sources.log.decode import LogReader
from weighbridge.sources.log.settings import read_settings

DOCS = Path(__file__).parent.parent / "docs"
ALL = dict(commands())


@pytest.mark.parametrize("page", PAGES)
def test_what_is_generated_is_as_the_program_says_now(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert text == rewritten(text, PAGES[page]()), "run: python -m weighbridge.cli.reference docs"


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = (DOCS / "cli.md").read_text("utf-8")
    section = text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
    for option in ALL[name].params:
        for written in option.opts if isinstance(option, click.Option) else ():
            assert re.search(rf"{re.escape(written)}\b", section)


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_and_every_option_says_what_it_is(name: str) -> None:
    example = (ALL[name].help or "").partition("Example:\n")[2].strip()
    assert example.startswith("weighbridge ")
    for option in ALL[name].params:
        assert not isinstance(option, click.Option) or option.help


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    listed = {name.removeprefix("weighbridge ") for name in ALL if name.count(" ") == 1}
    assert listed == set(COMMANDS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting) -> None:
    text = (DOCS / "configuration.md").read_text("utf-8")
    for word in filter(None, (setting.variable, setting.flag, setting.file_key)):
        assert f"`{word}`" in text


def test_the_example_of_a_settings_file_is_right(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text("utf-8"), re.DOTALL)
    assert example
    (tmp_path / "jwt.secret").write_text("hush")
    written = example[1].replace("/etc/weighbridge/jwt.secret", "jwt.secret")
    tomllib.loads(written)
    (tmp_path / "weighbridge.toml").write_text(written)
    settings, _ = load({}, {}, tmp_path)
    assert (settings.retention_days_5m, settings.jwt.secret) == (400, "hush")


def test_the_examples_of_logs_in_the_settings_are_right() -> None:
    examples = re.findall(r"```toml\n(.*?)```", (DOCS / "logs.md").read_text("utf-8"), re.DOTALL)
    assert examples
    for written in examples:
        for table in tomllib.loads(written)["sources"]["log"]:
            LogReader(read_settings(table)).close()


@pytest.mark.parametrize("source", ["openvpn", "wireguard"])
def test_the_pages_on_tunnels_say_their_settings_and_words(source: str) -> None:
    text = (DOCS / f"{source}.md").read_text("utf-8")
    for written in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        assert read_sources(tomllib.loads(written)["sources"], DOCS, "weighbridge.toml")[1] == []
    assert [field for field in reader_of(source).__struct_fields__ if f"`{field}`" not in text] == []
    sources = DOCS.parent / "src/weighbridge/sources"
    code = "".join(path.read_text("utf-8") for path in [sources / "polled.py", *(sources / source).glob("*.py")])
    words = re.findall(r"`([a-z_0-9]+)`", text.partition("what=…}")[2].partition("Trouble is logged")[0])
    assert len(words) > 5
    assert [word for word in words if f'"{word}"' not in code and word != "metrics"] == []


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reject_code_is_documented(reason: RejectReason) -> None:
    assert f"`{reason.value}`" in (DOCS / "events.md").read_text("utf-8")


@pytest.mark.parametrize("word", [*WORDS, *MORE_WORDS])
def test_everything_that_becomes_of_a_reading_is_documented(word: str) -> None:
    text = (DOCS / "counters-and-flows.md").read_text("utf-8")
    assert f"`{word}`" in text


@pytest.mark.parametrize(
    "code", [value for name, value in vars(failures).items() if name.isupper() and type(value) is int]
)
def test_every_exit_code_is_documented(code: int) -> None:
    assert f"| {code} |" in (DOCS / "cli.md").read_text("utf-8")


def test_the_page_on_the_middleware_says_its_settings_and_bounds():
    text = (DOCS / "middleware.md").read_text("utf-8")
    for name in (*inspect.signature(asgi.Meter).parameters, *inspect.signature(wsgi.Meter).parameters):
        assert name == "app" or f"| `{name}` |" in text
    for variable in (middleware.URL, middleware.KEY, middleware.APP, middleware.ENVIRONMENT):
        assert f"| `{variable}` |" in text
    said = (f"| {middleware.DEFAULT_APP} |", f"| `{middleware.DEFAULT_ENVIRONMENT}` |", f"| {middleware.DEFAULT_INTERVAL_S};",
            f"{ROWS_WAITING:,} rows", f"{KEYS_AT_ONCE:,} combinations", f"{UNREAD_BYTES // 2**20} MiB",
            f"within {EXIT_S:g} seconds", f"after {FIRST_WAIT_S:g} second ", f"at most {middleware.MAX_NAME}\ncharacters")
    assert [words for words in said if words not in text] == []
    assert (QUIET_S, LONGEST_WAIT_S) == (5 * 60, 60)  # "once in five minutes", "at most every minute"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", (DOCS / "middleware.md").read_text("utf-8"), re.DOTALL))
def test_the_examples_of_the_middleware_are_python(example: str) -> None:
    compile(example, "middleware.md", "exec")


def test_every_law_names_a_test_that_is_there():
    page = DOCS.parent / "src/weighbridge/domain/README.md"
    named = set(re.findall(r"test_laws?_[a-z0-9_]+\.py", page.read_text("utf-8")))
    there = {path.name for path in (Path(__file__).parent / "laws").glob("test_law*.py")}
    assert named == there
